//! Times each piece, and counts its allocations: `cargo bench`, or `cargo bench -- sse`.

use divan::{AllocProfiler, Bencher};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = micro::all().map(|micro| micro.name))]
fn pieces(bencher: Bencher, name: &str) {
    let mut work = micro::find(name).map(|micro| (micro.ready)());
    bencher.bench_local(|| work.as_mut().map(|work| work()));
}

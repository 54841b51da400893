//! What a child does.

use super::used::Used;
use crate::{Error, Result};
use nix::sys::socket::{setsockopt, sockopt};
use std::net::TcpListener;

/// The role of a client: does so often what it is told, and says what it has used.
pub(crate) fn obey(mut run: impl FnMut(usize) -> Result) -> Result {
    for line in std::io::stdin().lines() {
        run(line?.trim().parse()?)?;
        println!("{}", Used::by_this_process()?.to_line());
    }
    Ok(())
}

/// The role of a server: tells its address, serves, and says what it has used whenever it is asked.
pub(crate) fn serve(run: impl FnOnce(TcpListener) -> Result) -> Result {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // The kernel hands it on to the connections, so that no server has an advantage by it.
    setsockopt(&listener, sockopt::TcpNoDelay, &true)?;
    println!("{}", listener.local_addr()?);
    std::thread::spawn(|| {
        for line in std::io::stdin().lines() {
            match line.map_err(Error::from).and_then(|_| Used::by_this_process()) {
                Ok(used) => println!("{}", used.to_line()),
                Err(error) => eprintln!("{error}"),
            }
        }
        std::process::exit(0);
    });
    run(listener)
}

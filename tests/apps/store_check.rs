//! Connects to the store that is named on the command line, and says what answered.

fn main() -> ember::Result {
    let url = std::env::args().nth(1).unwrap_or_default();
    let store = ember::store::BoxStore::from_url(&url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{}", runtime.block_on(store.check())?);
    Ok(())
}

//! The page of the example `chat_ui`, in a real browser: an answer is shown as it comes.

use super::browser::Browser;
use super::serving::{Serving, example};
use serde_json::{Value, json};
use std::process::Command;

pub fn test() {
    let serving = Serving::start(Command::new(example("chat_ui")));
    let browser = Browser::start();
    browser.open(&format!("{}/", serving.address));
    browser.log("browser");
    shows_an_answer(&browser);
    shows_a_tool(&browser);
    stops(&browser);
    shows_what_goes_wrong(&browser);
    browser.picture("chat.png");
    asks_nobody_else(&browser, &serving.address);
}

fn say(browser: &Browser, text: &str) {
    let text = json!(text);
    browser.run(&format!(
        "document.getElementById('text').value = {text};
         document.getElementById('form').requestSubmit()"
    ));
}

/// The text of the last answer.
const LAST: &str = "[...document.querySelectorAll('article.assistant')].at(-1)";
/// Whether nothing is under way.
const IDLE: &str = "return !document.getElementById('send').hidden";

fn shows_an_answer(browser: &Browser) {
    say(browser, "Hello <b>there</b> & how are you today?");
    // A part of it can be seen while the rest is still to come.
    let part = browser.wait(&format!(
        "const text = {LAST}?.querySelector('p')?.textContent;
         return document.getElementById('stop').hidden ? 'too late' : text || null"
    ));
    let whole = "This is answer 1. You said: Hello <b>there</b> & how are you today?";
    let part = part.as_str().unwrap();
    assert!(whole.starts_with(part) && part.len() < whole.len(), "{part}");
    browser.wait(IDLE);
    assert_eq!(browser.run(&format!("return {LAST}.querySelector('p').textContent")), whole);
    let note = browser.run(&format!("return {LAST}.querySelector('.note').textContent"));
    assert!(note.as_str().unwrap().contains("tokens in"), "{note}");
}

fn shows_a_tool(browser: &Browser) {
    say(browser, "count these words");
    browser.wait(&format!(
        "return {LAST}?.querySelector('.tool pre:last-child')?.textContent === '3'"
    ));
    browser.wait(IDLE);
    let texts = format!("return [...{LAST}.querySelectorAll('p')].map((text) => text.textContent)");
    assert_eq!(browser.run(&texts), json!(["Let me count. ", "You have said 3 words."]));
    let shown = format!("return {LAST}.querySelector('.reasoning pre').textContent");
    assert_eq!(browser.run(&shown), "That is a question of numbers. ");
    let name = format!("return {LAST}.querySelector('.tool summary').textContent");
    assert_eq!(browser.run(&name), "count_words done");
}

fn stops(browser: &Browser) {
    say(browser, &"many words ".repeat(100));
    browser.wait(&format!("return {LAST}?.querySelector('p')?.textContent.includes('many')"));
    browser.run("document.getElementById('stop').click()");
    browser.wait(IDLE);
    let note = browser.run(&format!("return {LAST}.querySelector('.note').textContent"));
    assert_eq!(note, "Stopped.");
    // What was shown is remembered, so the next answer is the fourth.
    say(browser, "And now?");
    browser.wait(IDLE);
    let text = browser.run(&format!("return {LAST}.querySelector('p').textContent"));
    assert_eq!(text, "This is answer 4. You said: And now?");
}

fn shows_what_goes_wrong(browser: &Browser) {
    // The server refuses what is longer than it takes.
    browser.run(
        "document.getElementById('text').value = 'x'.repeat(20_000_000);
         document.getElementById('form').requestSubmit()",
    );
    browser.wait(IDLE);
    let note = browser.run(&format!("return {LAST}.querySelector('.failed').textContent"));
    assert!(!note.as_str().unwrap().is_empty());
}

fn asks_nobody_else(browser: &Browser, address: &str) {
    let faults: Vec<_> = browser.log("browser").into_iter().collect();
    // The request that was refused is told by the browser itself.
    let faults: Vec<_> = faults.iter().filter(|entry| entry["source"] != "network").collect();
    assert!(faults.is_empty(), "{faults:#?}");
    for entry in browser.log("performance") {
        let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
        if message["message"]["method"] == "Network.requestWillBeSent" {
            let parameters = &message["message"]["params"];
            if !parameters["documentURL"].as_str().unwrap().starts_with(address) {
                continue;
            }
            let url = parameters["request"]["url"].as_str().unwrap();
            assert!(url.starts_with(address) || url.starts_with("data:"), "{url}");
        }
    }
}

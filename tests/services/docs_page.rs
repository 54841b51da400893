//! The page that shows the routes, in a real browser.

use super::browser::Browser;
use super::serving::Serving;
use serde_json::{Value, json};
use std::process::Command;

pub fn test() {
    let serving = Serving::start(Command::new(env!("CARGO_BIN_EXE_described")));
    let browser = Browser::start();
    browser.open(&format!("{}/docs", serving.address));
    lists_every_route(&browser);
    tries_a_get(&browser);
    tries_a_post(&browser);
    streams_and_stops(&browser);
    shows_what_goes_wrong(&browser);
    sends_keys(&browser);
    finds_routes(&browser);
    browser.picture("docs-filtered.png");
    looks(&browser, &serving.address);
    asks_nobody_else(&browser, &serving.address);
}

fn lists_every_route(browser: &Browser) {
    let count = "return document.querySelectorAll('details.route').length";
    browser.wait("return document.getElementById('notice')?.hidden");
    let shown = browser.run(count);
    let document = Command::new(env!("CARGO_BIN_EXE_described")).arg("openapi").output().unwrap();
    let document: Value = serde_json::from_slice(&document.stdout).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let operations: usize = paths.values().map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(shown, operations);
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let summary = browser
                .run(&format!("return document.getElementById('{id}').firstChild.innerText"));
            let summary = summary.as_str().unwrap();
            assert!(
                summary.contains(path) && summary.contains(&method.to_uppercase()),
                "{summary}"
            );
        }
    }
    assert_eq!(browser.run("return document.title"), "Described");
    let listed = browser.run("return document.querySelectorAll('#index a').length");
    assert_eq!(listed, operations);
}

/// Opens a route, fills its fields in, and sends the request.
fn send(browser: &Browser, id: &str, fields: &Value) {
    let script = format!(
        "const box = document.getElementById('{id}');
         box.querySelector('summary').click();
         return true"
    );
    browser.run(&script);
    browser.wait(&format!("return document.querySelector('#{id} form.try') !== null"));
    let script = format!(
        "const form = document.querySelector('#{id} form.try');
         for (const [name, value] of Object.entries({fields})) form.elements[name].value = value;
         form.querySelector('button.send').click();"
    );
    browser.run(&script);
}

/// Waits for a part of the outcome, and returns its text.
fn outcome(browser: &Browser, id: &str, part: &str) -> String {
    let script =
        format!("return document.querySelector('#{id} .outcome {part}')?.innerText ?? null");
    browser.wait(&script).as_str().unwrap().to_owned()
}

fn tries_a_get(browser: &Browser) {
    send(browser, "described_list", &json!({"words": "read & write", "priority": "low, high"}));
    let answer: Value =
        serde_json::from_str(&outcome(browser, "described_list", "pre.answer")).unwrap();
    assert_eq!(answer["items"][0]["title"], "read & write");
    assert_eq!(answer["total"], 0, "both priorities have arrived");
    assert_eq!(outcome(browser, "described_list", ".status"), "200 OK");
    let headers = "return document.querySelector('#described_list .headers').textContent";
    assert!(browser.run(headers).as_str().unwrap().contains("content-type: application/json"));
    browser.picture("docs-get.png");
    // What takes the rest of a path may have slashes, and other characters.
    send(browser, "file", &json!({"*file": "a b/c?d"}));
    assert_eq!(outcome(browser, "file", "pre.answer"), "a b/c?d");
}

fn tries_a_post(browser: &Browser) {
    // The body that is sent is the one that was made of the schema.
    send(browser, "create", &json!({}));
    assert_eq!(outcome(browser, "create", ".status"), "201 Created");
    let answer: Value = serde_json::from_str(&outcome(browser, "create", "pre.answer")).unwrap();
    assert_eq!(answer["title"], "text");
    send(browser, "login", &json!({"name": "Ada"}));
    let answer: Value = serde_json::from_str(&outcome(browser, "login", "pre.answer")).unwrap();
    assert_eq!(answer["items"][0]["title"], "once", "the form was read, and the redirect followed");
    browser.run("document.querySelector('#create form.try').scrollIntoView()");
    browser.picture("docs-post.png");
}

fn streams_and_stops(browser: &Browser) {
    send(browser, "ticks", &json!({}));
    let count = "return document.querySelectorAll('#ticks .events li').length";
    browser.wait(&format!("{count} > 3"));
    let stop = "document.querySelector('#ticks button.stop')";
    assert_eq!(browser.run(&format!("return {stop}.disabled")), false, "it still runs");
    browser.run("document.getElementById('ticks').scrollIntoView()");
    browser.run(&format!("{stop}.click()"));
    assert_eq!(outcome(browser, "ticks", ".ended"), "Stopped.");
    browser.picture("docs-stream.png");
    let after = browser.run(count).as_u64().unwrap();
    let first = "return document.querySelector('#ticks .events .data').textContent";
    assert_eq!(browser.run(first), "tick 0");
    send(browser, "chat", &json!({"body": "Hello"}));
    assert_eq!(outcome(browser, "chat", ".ended"), "The stream has ended.");
    let words = "return [...document.querySelectorAll('#chat .data')].map((word) => word.textContent).join('')";
    assert_eq!(browser.run(words), "one two three[DONE]");
    assert_eq!(browser.run(count), after, "nothing arrives after it was stopped");
}

fn shows_what_goes_wrong(browser: &Browser) {
    send(browser, "replace_put", &json!({"id": "1", "body": "{\"id\": \"x\"}"}));
    assert_eq!(outcome(browser, "replace_put", ".status"), "422 Unprocessable Entity");
    assert!(outcome(browser, "replace_put", "pre.answer").contains("\"pointer\": \"/id\""));
}

fn sends_keys(browser: &Browser) {
    browser.run("document.getElementById('key-bearer').value = 'secret'");
    send(browser, "by_hand", &json!({"name": "Ada"}));
    assert_eq!(outcome(browser, "by_hand", ".status"), "200 OK");
}

fn finds_routes(browser: &Browser) {
    browser.run(
        "const box = document.getElementById('filter');
         box.value = 'post tasks';
         box.dispatchEvent(new Event('input'))",
    );
    let visible = "return [...document.querySelectorAll('details.route')]
        .filter((box) => box.offsetParent).map((box) => box.id)";
    assert_eq!(browser.run(visible), json!(["create"]));
}

/// Pictures for whoever changes the page, and what can be measured of its looks.
fn looks(browser: &Browser, address: &str) {
    for (name, scheme, width) in
        [("light", "light", 1280), ("dark", "dark", 1280), ("narrow", "light", 400)]
    {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.devtools("Emulation.setEmulatedMedia", &features);
        let size = json!({"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false});
        browser.devtools("Emulation.setDeviceMetricsOverride", &size);
        // The part behind the number sign opens a route.
        browser.open("about:blank");
        browser.open(&format!("{address}/docs#create"));
        browser.wait("return document.querySelector('#create form.try') !== null");
        let wide =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.run(wide), 0, "nothing stands out to the right: {name}");
        let back = browser.run("return getComputedStyle(document.body).backgroundColor");
        assert_eq!(back == "rgb(255, 255, 255)", scheme == "light", "{back}");
        browser.picture(&format!("docs-{name}.png"));
        browser.run("scrollTo(0, 0)");
        browser.picture(&format!("docs-{name}-top.png"));
    }
}

fn asks_nobody_else(browser: &Browser, address: &str) {
    let faults: Vec<_> = browser
        .log("browser")
        .into_iter()
        // A refused request of `shows_what_goes_wrong` is told by the browser itself.
        .filter(|entry| {
            entry["source"] != "network" || !entry["message"].to_string().contains(" 422 ")
        })
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let mut keys = 0;
    for entry in browser.log("performance") {
        let message: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
        if message["message"]["method"] == "Network.requestWillBeSent" {
            // The browser's own pages, such as the one it starts with, have addresses of their own.
            let parameters = &message["message"]["params"];
            if !parameters["documentURL"].as_str().unwrap().starts_with(address) {
                continue;
            }
            let url = parameters["request"]["url"].as_str().unwrap();
            assert!(url.starts_with(address) || url.starts_with("data:"), "{url}");
            let sent = message.to_string().contains("Bearer secret");
            assert_eq!(
                sent,
                url.ends_with("/by-hand/Ada"),
                "a key goes where it is asked for: {url}"
            );
            keys += usize::from(sent);
        }
    }
    assert_eq!(keys, 1);
}

//! Plugins: types that are found by a kind and a name.

use ember::base::{PluginDescriptor, PluginError, Registry, Scope};
use ember::prelude::*;
use serde_json::json;

trait Store: std::fmt::Debug {
    fn size(&self) -> usize;
}

#[plugin(kind = "it_store", name = "memory", dimension = 1536, big = 18_446_744_073_709_551_615, tags = ["a", "b"], type = "x", share = 0.5, fast = true)]
#[derive(Debug, Default, PartialEq)]
struct Memory(usize);

#[plugin(kind = "it_store", name = "disk", make = Disk::open)]
#[derive(Debug)]
struct Disk;

impl Disk {
    fn open() -> Box<dyn Store> {
        Box::new(Self)
    }
}

impl Store for Disk {
    fn size(&self) -> usize {
        7
    }
}

#[plugin(kind = "it_parser", name = "memory", make = Parser::open)]
#[derive(Debug, PartialEq)]
struct Parser;

impl Parser {
    fn open() -> Result<Self, String> {
        Ok(Self)
    }
}

mod twice {
    use ember::prelude::*;

    #[plugin(kind = "it_twice", name = "same")]
    #[derive(Default)]
    struct First;

    #[plugin(kind = "it_twice", name = "same")]
    #[derive(Default)]
    struct Second;
}

mod once {
    #[ember::plugin(kind = "it_far", name = "same")]
    #[derive(Default)]
    struct Near;
}

mod far {
    #[ember::plugin(kind = "it_far", name = "same")]
    #[derive(Default)]
    struct Far;
}

mod alone {
    #[ember::plugin(kind = "it_far", name = "other")]
    #[derive(Default)]
    struct Alone;
}

#[test]
fn any_kind_is_registered_with_any_metadata() {
    let memory = PluginDescriptor::find("it_store", "memory").unwrap();
    let expected = json!({
        "dimension": 1536, "big": u64::MAX, "tags": ["a", "b"], "type": "x", "share": 0.5,
        "fast": true,
    });
    assert_eq!(serde_json::Value::from(memory.metadata()), expected);
    assert!(memory.location.file.ends_with("plugins.rs"));
    assert_eq!(PluginDescriptor::find("it_store", "disk").unwrap().metadata().len(), 0);
    let names: Vec<_> = Registry::plugins("it_store").iter().map(|plugin| plugin.name).collect();
    assert_eq!(names, ["memory", "disk"]);
}

#[test]
fn a_plugin_is_made_by_its_default_or_by_what_is_named() {
    let find = |name| PluginDescriptor::find("it_store", name).unwrap();
    assert_eq!(find("memory").make::<Memory>(), Ok(Memory(0)));
    assert_eq!(find("disk").make::<Box<dyn Store>>().unwrap().size(), 7);
    let parser = PluginDescriptor::find("it_parser", "memory").unwrap();
    let made: Result<Parser, String> = parser.make().unwrap();
    assert_eq!(made, Ok(Parser));
    let wrong = find("memory").make::<Disk>().unwrap_err().to_string();
    assert!(wrong.contains("`it_store/memory` makes a") && wrong.contains("Disk"), "{wrong}");
}

#[test]
fn two_of_a_kind_and_name_are_found_at_start_up() {
    let findings = |module: &'static str| match ember::Ember::in_module(module).build() {
        Ok(_) => Vec::new(),
        Err(error) => error.findings().to_vec(),
    };
    let found = findings("it::plugins::twice");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].message, "2 items claim the plugin `it_twice/same`");
    assert_eq!(found[0].places.len(), 2);
    assert!(found[0].places.iter().all(|place| place.contains("plugins.rs:")), "{found:?}");
    // One of them is enough to meet the other, wherever that is.
    let elsewhere = findings("it::plugins::once");
    assert_eq!(elsewhere.len(), 1, "{elsewhere:?}");
    assert_eq!(elsewhere[0].message, "2 items claim the plugin `it_far/same`");
    assert!(findings("it::plugins::alone").is_empty());
}

#[test]
fn kinds_are_spaces_of_their_own() {
    let of = |kind| PluginDescriptor::find(kind, "memory").unwrap().location.line;
    assert_ne!(of("it_store"), of("it_parser"));
    assert_eq!(Registry::plugins("it_parser").iter().len(), 1);
    assert_eq!(Registry::plugins("tool").iter().len(), 0);
}

#[test]
fn what_is_unknown_is_told_with_what_is_known() {
    let kind = PluginDescriptor::find("it_stor", "memory").unwrap_err();
    assert!(matches!(kind, PluginError::UnknownKind { .. }));
    assert!(kind.to_string().contains("`it_parser`, `it_store`"), "{kind}");
    let name = PluginDescriptor::find("it_store", "mem").unwrap_err();
    assert_eq!(name.to_string(), "there is no it_store `mem`; there is `disk`, `memory`");
}

#[test]
fn duplicates_are_reported_and_not_taken() {
    let error = PluginDescriptor::find("it_twice", "same").unwrap_err();
    let PluginError::Duplicate { ref places, .. } = error else { panic!("{error}") };
    assert_ne!(places[0].line, places[1].line);
    let scope = Scope::module(concat!(module_path!(), "::twice"));
    let duplicates = Registry::<PluginDescriptor>::collect(&scope).duplicates();
    assert_eq!(duplicates[0].to_string(), "2 items claim the plugin `it_twice/same`");
}

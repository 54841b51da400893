#[derive(Default)]
struct Pinecone;
const _: () = {
    use ::ember::__private as __ember;
    __ember::inventory::submit! {
        __ember::PluginDescriptor::new("vector_store", "pinecone", __ember::Location {
        module : ::core::module_path!(), file : ::core::file!(), line : ::core::line!()
        }, || __ember::Vec::from([("dimension", __ember::plugin_value(1536i64)),
        ("metrics", __ember::plugin_value(["cosine"]))]), || __ember::plugin(< Pinecone
        as ::core::default::Default > ::default),)
    }
};
struct Disk {
    path: PathBuf,
}
const _: () = {
    use ::ember::__private as __ember;
    __ember::inventory::submit! {
        __ember::PluginDescriptor::new("vector_store", "disk", __ember::Location { module
        : ::core::module_path!(), file : ::core::file!(), line : ::core::line!() }, ||
        __ember::Vec::from([]), || __ember::plugin(Disk::open),)
    }
};

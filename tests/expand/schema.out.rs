/// A unit.
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Celsius,
    Fahrenheit,
}
const _: () = {
    use ::ember::__private as __ember;
    #[derive(__ember::schemars::JsonSchema)]
    #[allow(dead_code, missing_docs)]
    /// A unit.
    #[serde(rename_all = "lowercase")]
    #[schemars(crate = "::ember::__private::schemars")]
    #[schemars(rename = "Unit")]
    enum __Unit {
        Celsius,
        Fahrenheit,
    }
    impl __ember::schemars::JsonSchema for Unit {
        fn inline_schema() -> bool {
            <__Unit as __ember::schemars::JsonSchema>::inline_schema()
        }
        fn schema_name() -> ::std::borrow::Cow<'static, str> {
            <__Unit as __ember::schemars::JsonSchema>::schema_name()
        }
        fn schema_id() -> ::std::borrow::Cow<'static, str> {
            <__Unit as __ember::schemars::JsonSchema>::schema_id()
        }
        fn json_schema(
            generator: &mut __ember::schemars::SchemaGenerator,
        ) -> __ember::schemars::Schema {
            <__Unit as __ember::schemars::JsonSchema>::json_schema(generator)
        }
    }
};
#[serde(default)]
struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    #[other]
    offset: u64,
}
const _: () = {
    use ::ember::__private as __ember;
    #[derive(__ember::schemars::JsonSchema)]
    #[allow(dead_code, missing_docs)]
    #[serde(default)]
    #[schemars(crate = "::ember::__private::schemars")]
    #[schemars(rename = "Page_for_{T}")]
    struct __Page<T> {
        /// What is on it.
        items: Vec<T>,
        offset: u64,
    }
    impl<T> ::core::default::Default for __Page<T>
    where
        Page<T>: ::core::default::Default,
    {
        fn default() -> Self {
            let default = <Page<T> as ::core::default::Default>::default();
            Self {
                items: default.items,
                offset: default.offset,
            }
        }
    }
    impl<T> __ember::schemars::JsonSchema for Page<T>
    where
        T: __ember::schemars::JsonSchema,
    {
        fn inline_schema() -> bool {
            <__Page<T> as __ember::schemars::JsonSchema>::inline_schema()
        }
        fn schema_name() -> ::std::borrow::Cow<'static, str> {
            <__Page<T> as __ember::schemars::JsonSchema>::schema_name()
        }
        fn schema_id() -> ::std::borrow::Cow<'static, str> {
            <__Page<T> as __ember::schemars::JsonSchema>::schema_id()
        }
        fn json_schema(
            generator: &mut __ember::schemars::SchemaGenerator,
        ) -> __ember::schemars::Schema {
            <__Page<T> as __ember::schemars::JsonSchema>::json_schema(generator)
        }
    }
};

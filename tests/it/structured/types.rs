//! Schemas of real types, as every provider enforces them: what the type wants can be said, and what
//! can be said is read.

use super::*;
use ember::base::schema::{Dialect, Lowered};
use ember::llm::tool::Tool;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

/// A circle.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
struct Circle {
    r: f64,
    #[serde(default)]
    name: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Square {
    side: Option<f64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Point {}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum Shape {
    /// Round.
    Circle(Circle),
    Square(Square),
    Point(Point),
    Maybe(Option<Circle>),
    Text {
        text: String,
        size: Option<u8>,
    },
    Nothing,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "layer")]
enum Layer {
    Shape(Shape),
    Page(Square),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op")]
enum Expression {
    Number { n: i64 },
    Sum(Sum2),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Sum2 {
    left: Box<Expression>,
    right: Box<Expression>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c")]
enum Filter {
    Nothing,
    Round(Circle),
    Perhaps(Option<Square>),
    Between { low: u8, high: Option<u8> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c")]
enum Negation {
    Not(Box<Negation>),
    Is(Circle),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct OfStruct {
    f: Option<u8>,
    #[serde(flatten)]
    circle: Circle,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct OfEnum {
    f: u8,
    #[serde(default)]
    note: String,
    #[serde(flatten)]
    shape: Shape,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct OfOption {
    f: u8,
    #[serde(flatten)]
    layer: Option<Filter>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum External {
    One(u8),
    Two { x: u8 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct OfExternal {
    f: u8,
    #[serde(flatten)]
    external: External,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Circle(Circle),
    Named { label: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct OfUntaggedAndTagged {
    f: u8,
    #[serde(flatten)]
    untagged: Untagged,
    #[serde(flatten)]
    filter: Filter,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct OfTwo {
    #[serde(flatten)]
    external: External,
    #[serde(flatten)]
    filter: Filter,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Described {
    /// The round one.
    #[schemars(title = "Round")]
    circle: Circle,
    /// Where it is left out, the smallest.
    #[serde(default)]
    other: Circle,
    /// Where there is one.
    square: Option<Square>,
}

/// A tree.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Tree {
    name: String,
    /// What is below.
    #[serde(default)]
    left: Option<Box<Tree>>,
    more: Vec<Tree>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct WithRest {
    a: u8,
    #[serde(flatten)]
    rest: HashMap<String, u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct WithRestAndEnum {
    #[serde(flatten)]
    external: Filter,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct ByNumber {
    names: BTreeMap<u32, String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct PerhapsMap {
    counts: Option<BTreeMap<String, u8>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Anything {
    /// Whatever it is.
    value: Value,
}

/// The schema with which a type is asked for.
async fn schema_of<T: JsonSchema + DeserializeOwned>() -> Schema {
    let fake = FakeProvider::new().text("{}").text("{}");
    let asked = Client::new(fake.clone()).prompt("?").json_mode(JsonMode::Schema);
    drop(asked.json::<T>().await);
    let ResponseFormat::Schema { schema, .. } = &fake.requests()[0].response_format else {
        panic!("{:?}", fake.requests())
    };
    schema.clone()
}

/// What a dialect demands of every node.
fn check_rules(dialect: Dialect, node: &Value, root: &Value) {
    let object = node.as_object().unwrap_or_else(|| panic!("{node} in {root:#}"));
    let has = |keyword: &str| object.contains_key(keyword);
    let gemini = dialect == Dialect::GeminiSchema;
    let never =
        ["oneOf", "allOf", "default", "title", "patternProperties", "unevaluatedProperties"];
    assert!(!never.iter().any(|keyword| has(keyword)), "{node:#}");
    if has("$ref") {
        assert!(!gemini && object.len() == 1, "{node:#}");
        let target = node["$ref"].as_str().unwrap().strip_prefix('#').unwrap();
        assert!(root.pointer(target).is_some(), "{node:#}");
        return;
    }
    if let Some(variants) = object.get("anyOf") {
        let others = object.keys().map(String::as_str);
        let beside: Vec<_> =
            others.filter(|keyword| !["anyOf", "description"].contains(keyword)).collect();
        assert!(beside.is_empty() || gemini && beside == ["nullable"], "{node:#}");
        assert!(!variants.as_array().unwrap().is_empty());
        return variants.as_array().unwrap().iter().for_each(|one| check_rules(dialect, one, root));
    }
    assert!(has("type"), "{node:#}");
    let is = |kind: &str| match &node["type"] {
        Value::Array(kinds) => kinds.iter().any(|known| known == kind),
        known => known == kind,
    };
    if is("object") {
        let names: Vec<_> =
            node["properties"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
        let required: Vec<_> = node["required"].as_array().into_iter().flatten().collect();
        assert!(required.iter().all(|name| names.iter().any(|known| *name == *known)), "{node:#}");
        assert!(dialect != Dialect::OpenAiStrict || required.len() == names.len(), "{node:#}");
        let rest = object.get("additionalProperties");
        assert_eq!(rest, (!gemini).then_some(&Value::Bool(false)), "{node:#}");
        node["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .for_each(|(_, one)| check_rules(dialect, one, root));
    }
    if is("array") {
        check_rules(dialect, &node["items"], root);
    }
    assert!(dialect == Dialect::OpenAiStrict || !has("const"), "{node:#}");
}

fn target<'a>(node: &Value, root: &'a Value) -> Option<&'a Value> {
    root.pointer(node.get("$ref")?.as_str()?.strip_prefix('#')?)
}

/// The value as a model writes it that is held to a schema, if it can.
fn said(value: &Value, node: &Value, root: &Value) -> Option<Value> {
    if let Some(target) = target(node, root) {
        return said(value, target, root);
    }
    if value.is_null() && node["nullable"] == true {
        return Some(Value::Null);
    }
    if let Some(variants) = node["anyOf"].as_array() {
        return variants.iter().find_map(|variant| said(value, variant, root));
    }
    match value {
        Value::Object(given) => {
            let known = node.get("properties").and_then(Value::as_object);
            let known = known.cloned().unwrap_or_default();
            let required = node["required"].as_array().cloned().unwrap_or_default();
            let all = node["type"] == "object" || node["type"] == json!(["object", "null"]);
            if !all || given.keys().any(|name| !known.contains_key(name)) {
                return None;
            }
            let mut members = Map::new();
            for (name, member) in &known {
                match given.get(name) {
                    None if !required.iter().any(|one| one == name) => {}
                    given => {
                        let given = given.unwrap_or(&Value::Null);
                        members.insert(name.clone(), said(given, member, root)?);
                    }
                }
            }
            Some(members.into())
        }
        Value::Array(items) if node["type"] == "array" => {
            items.iter().map(|item| said(item, &node["items"], root)).collect()
        }
        value => jsonschema::is_valid(node, value).then(|| value.clone()),
    }
}

/// Values that a schema allows: every alternative comes up, up to a depth.
fn examples(node: &Value, root: &Value, depth: usize) -> Vec<Value> {
    if let Some(target) = target(node, root) {
        return if depth == 0 { Vec::new() } else { examples(target, root, depth - 1) };
    }
    let mut all = Vec::new();
    if node["nullable"] == true {
        all.push(Value::Null);
    }
    if let Some(variants) = node["anyOf"].as_array() {
        all.extend(variants.iter().flat_map(|variant| examples(variant, root, depth)));
        return all;
    }
    if let Some(only) = node.get("const") {
        return vec![only.clone()];
    }
    if let Some(values) = node["enum"].as_array() {
        return values.clone();
    }
    let kinds = node["type"].as_array().cloned().unwrap_or_else(|| vec![node["type"].clone()]);
    for kind in kinds {
        match kind.as_str().unwrap() {
            "null" => all.push(Value::Null),
            "string" => all.push("x".into()),
            "boolean" => all.push(true.into()),
            "integer" => all.push(1.into()),
            "number" => all.push(1.5.into()),
            "array" => {
                let items = examples(&node["items"], root, depth);
                all.extend([json!([]), items.into()]);
            }
            "object" => all.extend(objects(node, root, depth)),
            other => panic!("{other}"),
        }
    }
    all
}

/// Objects in which each example of each member comes up, with all members and with those that must be.
fn objects(node: &Value, root: &Value, depth: usize) -> Vec<Value> {
    let members = node["properties"].as_object().into_iter().flatten();
    let members: Vec<_> =
        members.map(|(name, member)| (name, examples(member, root, depth))).collect();
    if members.iter().any(|(_, examples)| examples.is_empty()) {
        return Vec::new();
    }
    let most = members.iter().map(|(_, examples)| examples.len()).max().unwrap_or(1);
    let required = node["required"].as_array().cloned().unwrap_or_default();
    let object = |index: usize, all: bool| -> Value {
        let members =
            members.iter().filter(|(name, _)| all || required.iter().any(|one| one == *name));
        let pick = |examples: &Vec<Value>| examples[index % examples.len()].clone();
        Value::Object(members.map(|(name, examples)| ((*name).clone(), pick(examples))).collect())
    };
    let mut objects: Vec<_> = (0..most).map(|index| object(index, true)).collect();
    objects.push(object(0, false));
    objects
}

/// Gemini's permission of `null` in the words of JSON Schema.
fn as_json_schema(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(as_json_schema).collect(),
        Value::Object(members) => {
            let mut members: Map<_, _> =
                members.iter().map(|(name, value)| (name.clone(), as_json_schema(value))).collect();
            match members.remove("nullable") {
                Some(_) => json!({"anyOf": [{"type": "null"}, members]}),
                None => members.into(),
            }
        }
        other => other.clone(),
    }
}

#[track_caller]
fn validate(lowered: &Lowered, value: &Value) {
    let schema = as_json_schema(&lowered.schema);
    if let Err(error) = jsonschema::validator_for(&schema).unwrap().validate(value) {
        panic!("{error} in {value} by {schema:#}");
    }
}

const STRICT: [Dialect; 3] =
    [Dialect::OpenAiStrict, Dialect::AnthropicStrict, Dialect::GeminiSchema];

/// Checks a type: which dialects can enforce its schema, that values of it can be said in each, and that
/// whatever can be said there is one, whole and streamed.
async fn check<T>(strict: [bool; 3], values: &[Value])
where
    T: JsonSchema + DeserializeOwned + Serialize + Debug + PartialEq + Send + 'static,
{
    let name = std::any::type_name::<T>();
    let schema = schema_of::<T>().await;
    let is_wrapped =
        schema.as_value()["properties"].as_object().is_some_and(|all| all.keys().eq(["value"]))
            && schema.as_value()["additionalProperties"] == false;
    let is_wrapped = is_wrapped && !values.iter().any(|value| value.get("value").is_some());
    let wrapped = |value: &Value| if is_wrapped { json!({"value": value}) } else { value.clone() };
    let mut asked = HashSet::new();
    for (dialect, strict) in STRICT.into_iter().zip(strict) {
        let lowered = schema.lower(dialect);
        assert_eq!(lowered.strict, strict, "{name} for {dialect:?}: {:?}", lowered.relaxed);
        for value in values {
            let read: T = serde_json::from_value(value.clone()).unwrap();
            let value = wrapped(value);
            if !strict {
                validate(&lowered, &value);
                continue;
            }
            let said = said(&value, &lowered.schema, &lowered.schema);
            let said =
                said.unwrap_or_else(|| panic!("{value} for {dialect:?}: {:#}", lowered.schema));
            validate(&lowered, &said);
            assert_eq!(ask::<T>(&said).await, read, "{said} for {dialect:?}");
        }
        if strict {
            check_rules(dialect, &lowered.schema, &lowered.schema);
            for (_, definition) in lowered.schema["$defs"].as_object().into_iter().flatten() {
                check_rules(dialect, definition, &lowered.schema);
            }
            let examples = examples(&lowered.schema, &lowered.schema, 2);
            assert!(examples.len() >= values.len(), "{examples:?}");
            for example in examples {
                validate(&lowered, &example);
                if asked.insert(example.to_string()) {
                    ask::<T>(&example).await;
                }
            }
        }
    }
}

/// The value that is read from an answer, at the first attempt.
async fn ask<T>(answer: &Value) -> T
where
    T: JsonSchema + DeserializeOwned + Debug + PartialEq + Send + 'static,
{
    let prompt = || {
        let fake = FakeProvider::new().text(answer.to_string());
        Client::new(fake).prompt("?").json_mode(JsonMode::Schema)
    };
    let whole = prompt().json_response::<T>().await;
    let whole = whole.unwrap_or_else(|error| panic!("{answer}: {error}"));
    let streamed = prompt().json_stream::<T>().await.unwrap().value().await.unwrap();
    assert_eq!(whole.value, streamed);
    assert_eq!(whole.attempts, 1, "{answer}");
    whole.value
}

#[tokio::test]
async fn tagged_variants_keep_their_tag_and_their_members() {
    let shapes = [
        json!({"kind": "Circle", "r": 1.5, "name": "a"}),
        json!({"kind": "Circle", "r": 1.5}),
        json!({"kind": "Square", "side": 2.0}),
        json!({"kind": "Square"}),
        json!({"kind": "Point"}),
        json!({"kind": "Maybe", "r": 1.0}),
        json!({"kind": "Text", "text": "t", "size": 3}),
        json!({"kind": "Nothing"}),
    ];
    check::<Shape>([true; 3], &shapes).await;
    check::<Vec<Shape>>([true; 3], &[json!(shapes)]).await;
    let mut layers = vec![json!({"layer": "Page", "side": 1.0})];
    layers.extend(shapes.map(|mut shape| {
        shape["layer"] = "Shape".into();
        shape
    }));
    check::<Layer>([true; 3], &layers).await;
    let lowered = schema_of::<Shape>().await.lower(Dialect::OpenAiStrict).schema;
    let circle = &lowered["properties"]["value"]["anyOf"][0];
    let names: Vec<_> = circle["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["kind", "r", "name"], "what tells variants apart is written first");
    assert_eq!(circle["description"], "Round.");
}

#[tokio::test]
async fn a_tagged_variant_may_hold_its_own_type() {
    let number = |n: i64| json!({"op": "Number", "n": n});
    let sum = json!({"op": "Sum", "left": number(1), "right": {"op": "Sum", "left": number(2), "right": number(3)}});
    check::<Expression>([true, false, false], &[number(1), sum.clone()]).await;
    // The root is what the variant holds.
    let root = json!({"left": sum.clone(), "right": sum});
    check::<Sum2>([true, false, false], &[root]).await;
}

#[tokio::test]
async fn content_beside_a_tag_is_whole() {
    let filters = [
        json!({"t": "Nothing"}),
        json!({"t": "Round", "c": {"r": 1.0}}),
        json!({"t": "Perhaps", "c": null}),
        json!({"t": "Perhaps", "c": {"side": 1.0}}),
        json!({"t": "Between", "c": {"low": 1}}),
    ];
    check::<Filter>([true; 3], &filters).await;
    let is = json!({"t": "Is", "c": {"r": 1.0}});
    let negations = [is.clone(), json!({"t": "Not", "c": {"t": "Not", "c": is}})];
    check::<Negation>([true, false, false], &negations).await;
}

#[tokio::test]
async fn flattened_members_stand_beside_the_others() {
    let circles = [json!({"f": 1, "r": 1.0, "name": "n"}), json!({"r": 1.0})];
    check::<OfStruct>([true; 3], &circles).await;
    let shapes = [
        json!({"f": 1, "note": "n", "kind": "Circle", "r": 1.0}),
        json!({"f": 1, "kind": "Square"}),
        json!({"f": 1, "kind": "Nothing"}),
    ];
    check::<OfEnum>([true; 3], &shapes).await;
    let options = [json!({"f": 1}), json!({"f": 1, "t": "Round", "c": {"r": 1.0}})];
    check::<OfOption>([true; 3], &options).await;
    let external = [json!({"f": 1, "One": 2}), json!({"f": 1, "Two": {"x": 3}})];
    check::<OfExternal>([true; 3], &external).await;
    let both = [
        json!({"f": 1, "r": 1.0, "t": "Nothing"}),
        json!({"f": 1, "label": "l", "t": "Perhaps", "c": {}}),
    ];
    check::<OfUntaggedAndTagged>([true; 3], &both).await;
}

#[tokio::test]
async fn what_stands_beside_a_reference_does_not_take_its_place() {
    let described = json!({"circle": {"r": 1.0, "name": "n"}, "other": {"r": 2.0}, "square": null});
    check::<Described>([true; 3], &[described, json!({"circle": {"r": 1.0}})]).await;
    let leaf = json!({"name": "b", "more": []});
    let tree = json!({"name": "a", "left": leaf, "more": [leaf, leaf]});
    check::<Tree>([true, false, false], &[tree]).await;
}

#[tokio::test]
async fn what_a_strict_schema_would_forbid_is_not_asked_for_in_one() {
    check::<WithRest>([false; 3], &[json!({"a": 1, "b": 2})]).await;
    let rest = json!({"t": "Nothing", "b": "x"});
    check::<WithRestAndEnum>([false; 3], &[rest]).await;
    check::<ByNumber>([false; 3], &[json!({"names": {"7": "seven"}})]).await;
    check::<PerhapsMap>([false; 3], &[json!({"counts": {"a": 1}}), json!({"counts": null})]).await;
    check::<Anything>([false; 3], &[json!({"value": [1, {"a": null}]})]).await;
    check::<OfTwo>([false; 3], &[json!({"One": 1, "t": "Nothing"})]).await;
    check::<Point>([false; 3], &[json!({})]).await;
}

#[test]
fn the_arguments_of_a_tool_are_described_whole() {
    let value = json!({"f": 1, "kind": "Circle", "r": 1.0});
    let wrapped = Schema::from(json!({
        "type": "object",
        "properties": {"shape": {"$ref": "#/$defs/OfEnum"}},
        "required": ["shape"],
        "$defs": {
            "OfEnum": {
                "type": "object",
                "properties": {"f": {"type": "integer"}},
                "required": ["f"],
                "oneOf": [{"$ref": "#/$defs/Circle", "properties": {"kind": {"const": "Circle"}}, "required": ["kind"]}],
            },
            "Circle": {"type": "object", "properties": {"r": {"type": "number"}}, "required": ["r"]},
        },
    }));
    let spec = Tool::declared("draw", "Draws.", wrapped).unwrap().to_gemini_spec();
    let shape = &spec["parameters"]["properties"]["shape"];
    let names: Vec<_> = shape["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["kind", "f", "r"]);
    assert!(jsonschema::is_valid(&spec["parameters"], &json!({"shape": value})));
    // Alternatives are no root.
    let spec = Tool::declared("draw", "Draws.", Schema::of::<OfEnum>()).unwrap().to_gemini_spec();
    assert_eq!(spec.get("parameters"), None);
    assert!(jsonschema::is_valid(&spec["parametersJsonSchema"], &value));
}

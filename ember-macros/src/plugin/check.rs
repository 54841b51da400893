use crate::args::{Args, Opt};
use crate::diag::Sink;
use crate::keys;
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Expr, Ident, Item, Lit, LitInt, LitStr, Path};

/// A plugin attribute in which nothing is wrong that a macro can see.
pub(super) struct Checked {
    pub(super) ember: Path,
    pub(super) kind: LitStr,
    pub(super) name: LitStr,
    pub(super) ty: Ident,
    /// What makes it; `Default` where nothing is named.
    pub(super) make: Option<Expr>,
    /// What else is said of it, as keys and values.
    pub(super) metadata: Vec<(String, Expr)>,
}

impl Checked {
    pub(super) fn check(mut args: Args, item: &TokenStream, sink: &Sink) -> Option<Self> {
        if let Some(text) = &args.text {
            sink.at(text, "a plugin is named by `kind = \"…\", name = \"…\"`");
        }
        let (kind, name) = (word(&mut args, keys::KIND, sink), word(&mut args, keys::NAME, sink));
        let make = args.take(keys::MAKE);
        let metadata = args.options.drain(..).map(metadatum).collect();
        let ty = type_of(item, sink)?;
        Some(Self { ember: args.ember, kind: kind?, name: name?, ty, make, metadata })
    }
}

/// Takes the kind or the name, which must be there.
fn word(args: &mut Args, key: &str, sink: &Sink) -> Option<LitStr> {
    if !args.options.iter().any(|option| option.key == key) {
        let message = format!(
            "a plugin needs a {key}: `#[plugin(kind = \"vector_store\", name = \"pinecone\")]`"
        );
        sink.at_span(Span::call_site(), message);
        return None;
    }
    let text = args.take_text(key, sink)?;
    if text.value().trim().is_empty() {
        sink.at(&text, format!("the {key} of a plugin cannot be empty"));
    }
    if key == keys::KIND && text.value().contains('/') {
        sink.at(&text, "the kind of a plugin holds no `/`, which stands between kind and name");
    }
    Some(text)
}

fn type_of(item: &TokenStream, sink: &Sink) -> Option<Ident> {
    let (ty, generics) = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Struct(item)) => (item.ident, item.generics),
        Ok(Item::Enum(item)) => (item.ident, item.generics),
        Ok(_) => {
            sink.at(item, "`#[plugin]` stands on a type: a struct or an enum");
            return None;
        }
        Err(error) => {
            sink.push(error);
            return None;
        }
    };
    if !generics.params.is_empty() {
        sink.at(&generics, "a plugin cannot be generic: nobody would choose its types");
    }
    Some(ty)
}

/// A key of the metadata with its value. A number that says no type has the widest, so that it is
/// what was written.
fn metadatum(Opt { key, value }: Opt) -> (String, Expr) {
    use syn::ext::IdentExt as _;
    let value = match &value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) if number.suffix().is_empty() => {
                let wide = if number.base10_parse::<i64>().is_ok() { "i64" } else { "u64" };
                let number = LitInt::new(&format!("{number}{wide}"), number.span());
                syn::parse2(quote!(#number)).unwrap_or(value)
            }
            _ => value,
        },
        _ => value,
    };
    (key.unraw().to_string(), value)
}

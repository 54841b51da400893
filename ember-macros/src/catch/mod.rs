//! `#[catch]`.

use crate::args::Args;
use crate::beside::beside;
use crate::diag::Sink;
use crate::paths::{in_block, location};
use crate::sig::{Argument, Function, type_arguments};
use crate::takes::{self, Takes, local};
use crate::{keys, reach};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{ExprPath, Ident, LitInt, Path, Token};

/// A catcher in which nothing is wrong that a macro can see.
struct Checked {
    ember: Path,
    catches: TokenStream,
    reach: TokenStream,
    arguments: Vec<Argument>,
}

/// What stands first in the attribute.
enum First {
    Status(LitInt),
    Kind(ExprPath),
}

/// Reads, checks and expands the attribute.
pub(crate) fn attribute(attribute: TokenStream, item: TokenStream) -> TokenStream {
    beside(item, |function, sink| check(attribute, function, sink), expand)
}

fn first(input: ParseStream<'_>) -> syn::Result<Option<First>> {
    if input.peek(LitInt) {
        return Ok(Some(First::Status(input.parse()?)));
    }
    let is_path = (input.peek(Ident) && !input.peek2(Token![=])) || input.peek(Token![::]);
    Ok(if is_path { Some(First::Kind(input.parse()?)) } else { None })
}

fn check(attribute: TokenStream, function: &Function, sink: &Sink) -> Option<Checked> {
    let (first, mut args) = Args::parse_after("catch", &[keys::SCOPE], attribute, sink, first);
    function.check_async("a catcher", sink);
    let arguments = function.check("a catcher", sink);
    let reach = reach::take(&mut args, sink);
    if arguments.is_empty() {
        sink.at(function.name(), "a catcher takes the error first: `error: &Error`");
    }
    let catches = match first.flatten() {
        None => quote!(__ember::Catches::Any),
        Some(First::Kind(kind)) => quote_spanned!(kind.span()=> __ember::Catches::Kind(#kind)),
        Some(First::Status(status)) => {
            let known = status.base10_parse::<u16>().is_ok_and(|code| (400..=599).contains(&code));
            if !known {
                sink.at(&status, "an error has a status from 400 to 599");
                return None;
            }
            quote!(__ember::Catches::Status(#status))
        }
    };
    let reach = reach.unwrap_or_else(|| quote!(__ember::Reach::Blueprint));
    Some(Checked { ember: args.ember, catches, reach, arguments })
}

fn expand(catcher: &Checked, function: &Function) -> TokenStream {
    let Checked { ember, catches, reach, arguments } = catcher;
    let name = function.name();
    let (title, location) = (function.title(), location(name));
    let (error, parts) = (local("error"), local("parts"));
    let extractors = arguments.get(1..).unwrap_or_default();
    let Takes { names, statements } = Takes::from_parts(extractors, &parts);
    let call = quote!(#name(#error #(, #names)*).await);
    let answer = match function.named_output() {
        Some(ty) => quote_spanned!(ty.span()=> __ember::answer::<#ty>(#call)),
        None => quote_spanned!(function.output().span()=> __ember::answer(#call)),
    };
    let describe = describe(extractors, function);
    let run = quote_spanned! {name.span()=>
        fn __run<'a>(#error: &'a __ember::Error, #parts: &'a mut __ember::RequestParts) -> __ember::CatchFuture<'a> {
            __ember::Box::pin(async move {
                let _ = &#parts;
                #(#statements)*
                #answer
            })
        }
    };
    let of_error_alone = extractors.is_empty().then(|| quote!(.of_error_alone()));
    in_block(
        ember,
        quote! {
            #run
            #describe
            __ember::inventory::submit! {
                __ember::CatcherDescriptor::new(#title, #catches, #reach, #location, __run, __describe)
                    #of_error_alone
            }
        },
    )
}

/// What it answers are failures of the routes that it reaches.
fn describe(extractors: &[Argument], function: &Function) -> TokenStream {
    takes::describe(extractors, |operation| {
        let Some(output) = function.named_output() else { return TokenStream::new() };
        let mut types = Vec::new();
        type_arguments(output, &mut types);
        let schemas = takes::schemas(types, operation);
        quote! {
            #[allow(unused_imports)]
            use __ember::describe::{DescribeNothing as _, DescribeOutput as _, DescribeType as _};
            #schemas
            #operation.failures(|#operation| (&&__ember::Output::<#output>::NEW).describe(#operation));
        }
    })
}

//! `#[hook]`.

use crate::args::Args;
use crate::beside::beside;
use crate::diag::{Sink, nearest};
use crate::paths::{in_block, location};
use crate::sig::{Argument, Function};
use crate::takes::{self, Takes, local};
use crate::{keys, reach};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Ident, Path, Token};

/// A hook in which nothing is wrong that a macro can see.
struct Checked {
    ember: Path,
    event: Event,
    reach: TokenStream,
    arguments: Vec<Argument>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    /// A moment of the server, by the name of its variant.
    Server(&'static str),
    BeforeEndpoint,
    AfterEndpoint,
}

const EVENTS: &[(&str, Event)] = &[
    ("before_server_start", Event::Server("BeforeServerStart")),
    ("after_server_start", Event::Server("AfterServerStart")),
    ("before_server_stop", Event::Server("BeforeServerStop")),
    ("after_server_stop", Event::Server("AfterServerStop")),
    ("before_endpoint", Event::BeforeEndpoint),
    ("after_endpoint", Event::AfterEndpoint),
];

/// Reads, checks and expands the attribute.
pub(crate) fn attribute(attribute: TokenStream, item: TokenStream) -> TokenStream {
    beside(item, |function, sink| check(attribute, function, sink), expand)
}

fn check(attribute: TokenStream, function: &Function, sink: &Sink) -> Option<Checked> {
    let first = |input: ParseStream<'_>| {
        let is_event = input.peek(Ident) && !input.peek2(Token![=]);
        is_event.then(|| input.parse::<Ident>()).transpose()
    };
    let (event, mut args) = Args::parse_after("hook", &[keys::SCOPE], attribute, sink, first);
    function.check_async("a hook", sink);
    let arguments = function.check("a hook", sink);
    let scope = args.options.iter().find(|option| option.key == keys::SCOPE);
    let scope = scope.map(|option| option.key.clone());
    let reach = reach::take(&mut args, sink);
    let event = read(event.flatten(), sink)?;
    if let (Event::Server(_), Some(scope)) = (event, scope) {
        let message = "`scope` is for `before_endpoint` and `after_endpoint`: the server has one start and one stop";
        sink.at(scope, message);
    }
    if event == Event::AfterEndpoint && arguments.is_empty() {
        let message = "a hook after the endpoint takes the response first: `response: Response`";
        sink.at(function.name(), message);
    }
    let reach = reach.unwrap_or_else(|| quote!(__ember::Reach::Blueprint));
    Some(Checked { ember: args.ember, event, reach, arguments })
}

fn read(event: Option<Ident>, sink: &Sink) -> Option<Event> {
    let names: Vec<_> = EVENTS.iter().map(|(name, _)| *name).collect();
    let Some(event) = event else {
        sink.at_span(
            Span::call_site(),
            format!("a hook says first when it runs: `#[hook({})]`", names.join(" | ")),
        );
        return None;
    };
    let known = EVENTS.iter().find(|(name, _)| event == name);
    if known.is_none() {
        let hint = nearest(&event.to_string(), &names);
        let hint = hint.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        sink.at(
            &event,
            format!("there is no hook `{event}`{hint} (there are {})", names.join(", ")),
        );
    }
    known.map(|(_, event)| *event)
}

fn expand(hook: &Checked, function: &Function) -> TokenStream {
    let Checked { ember, event, reach, arguments } = hook;
    let name = function.name();
    let (title, location) = (function.title(), location(name));
    let (event, kind, run) = match event {
        Event::Server(event) => (*event, "Server", server(arguments, function)),
        Event::BeforeEndpoint => ("BeforeEndpoint", "Before", before(arguments, function)),
        Event::AfterEndpoint => ("AfterEndpoint", "After", after(arguments, function)),
    };
    let (event, kind) = (Ident::new(event, Span::call_site()), Ident::new(kind, Span::call_site()));
    in_block(
        ember,
        quote! {
            #run
            __ember::inventory::submit! {
                __ember::HookDescriptor::new(
                    #title, __ember::HookEvent::#event, #reach, #location, __ember::HookRun::#kind(__run), __describe,
                )
            }
        },
    )
}

fn server(arguments: &[Argument], function: &Function) -> TokenStream {
    let name = function.name();
    let components = local("components");
    let Takes { names, statements } = Takes::from_components(arguments, &components);
    let outcome = outcome(function, &quote!(outcome), &quote!(#name(#(#names),*).await));
    let needs = takes::needs(arguments);
    let operation = if needs.is_empty() { local("_operation") } else { local("operation") };
    quote_spanned! {name.span()=>
        fn __run(#components: &__ember::Components) -> __ember::HookFuture<'_, ()> {
            __ember::Box::pin(async move {
                let _ = #components;
                #(#statements)*
                #outcome
            })
        }
        fn __describe(#operation: &mut __ember::Operation) {
            #(#operation.requires(#needs);)*
        }
    }
}

fn before(arguments: &[Argument], function: &Function) -> TokenStream {
    let name = function.name();
    let parts = local("parts");
    let Takes { names, statements } = Takes::from_parts(arguments, &parts);
    let outcome = outcome(function, &quote!(before_outcome), &quote!(#name(#(#names),*).await));
    // What it answers in place of the handler is mostly a refusal.
    let describe = takes::describe(arguments, |operation| quote!(#operation.problems();));
    quote_spanned! {name.span()=>
        fn __run(#parts: &mut __ember::RequestParts) -> __ember::HookFuture<'_, __ember::Option<__ember::Response>> {
            __ember::Box::pin(async move {
                let _ = &#parts;
                #(#statements)*
                #outcome
            })
        }
        #describe
    }
}

fn after(arguments: &[Argument], function: &Function) -> TokenStream {
    let name = function.name();
    let (response, parts) = (local("response"), local("parts"));
    let extractors = arguments.get(1..).unwrap_or_default();
    let Takes { names, statements } = Takes::from_parts(extractors, &parts);
    let outcome = outcome(function, &quote!(answer), &quote!(#name(#response #(, #names)*).await));
    let describe = takes::describe(extractors, |_| TokenStream::new());
    quote_spanned! {name.span()=>
        fn __run(#response: __ember::Response, #parts: &mut __ember::RequestParts) -> __ember::HookFuture<'_, __ember::Response> {
            __ember::Box::pin(async move {
                let _ = &#parts;
                #(#statements)*
                #outcome
            })
        }
        #describe
    }
}

/// What the function returns, looked at by one of the private functions.
fn outcome(function: &Function, by: &TokenStream, call: &TokenStream) -> TokenStream {
    match function.named_output() {
        Some(ty) => quote_spanned!(ty.span()=> __ember::#by::<#ty>(#call)),
        None => {
            let span = function.output().span();
            let by = by.to_token_stream();
            quote_spanned!(span=> __ember::#by(#call))
        }
    }
}

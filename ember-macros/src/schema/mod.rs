//! `#[derive(JsonSchema)]`.
//!
//! The schema is made by `schemars`, whose own derive needs the crate as a dependency of the
//! user. So a mirror of the type, private and under another name, gets that derive with a path
//! into `ember`, and the type itself passes on what the mirror says.

use crate::keys;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Field, Fields, Ident, Path, Token, parse_quote};

/// Attributes that the derive of `schemars` reads.
const READ: &[&str] = &["doc", "serde", "schemars", "validate", "garde", "deprecated"];

/// Derives the schema.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    if let Data::Union(union) = &input.data {
        let error = syn::Error::new_spanned(
            union.union_token,
            "a union has no JSON Schema: JSON cannot tell its fields apart",
        );
        return error.into_compile_error();
    }
    let ember = match ember(&input.attrs) {
        Ok(ember) => ember,
        Err(error) => return error.into_compile_error(),
    };
    let schemars = quote!(__ember::schemars);
    let name = &input.ident;
    let mirror = mirror(&input, &ember);
    let mirror_name = &mirror.ident;
    let default = default(&input, mirror_name);
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    let params: Vec<_> = input.generics.type_params().map(|param| &param.ident).collect();
    let bounds = where_clause.map(|clause| &clause.predicates).into_iter().flatten();
    let delegate = quote!(<#mirror_name #ty_generics as #schemars::JsonSchema>);
    crate::paths::in_block(
        &ember,
        quote! {
            #[derive(#schemars::JsonSchema)]
            #[allow(dead_code, missing_docs)]
            #mirror
            #default
            impl #impl_generics #schemars::JsonSchema for #name #ty_generics
            where
                #(#bounds,)*
                #(#params: #schemars::JsonSchema,)*
            {
                fn inline_schema() -> bool {
                    #delegate::inline_schema()
                }
                fn schema_name() -> ::std::borrow::Cow<'static, str> {
                    #delegate::schema_name()
                }
                fn schema_id() -> ::std::borrow::Cow<'static, str> {
                    #delegate::schema_id()
                }
                fn json_schema(generator: &mut #schemars::SchemaGenerator) -> #schemars::Schema {
                    #delegate::json_schema(generator)
                }
            }
        },
    )
}

/// How the `ember` crate is called: `#[ember(crate = path)]`, for a dependency that was renamed.
fn ember(attributes: &[Attribute]) -> syn::Result<Path> {
    let Some(attribute) = attributes.iter().find(|attribute| attribute.path().is_ident("ember"))
    else {
        return Ok(parse_quote!(::ember));
    };
    attribute.parse_args_with(|input: ParseStream<'_>| {
        input.parse::<Token![crate]>()?;
        input.parse::<Token![=]>()?;
        input.call(Path::parse_mod_style)
    })
}

/// The type again, under another name, with the attributes that matter to its schema.
fn mirror(input: &DeriveInput, ember: &Path) -> DeriveInput {
    let mut mirror = input.clone();
    mirror.ident = format_ident!("__{}", input.ident);
    mirror.vis = parse_quote!();
    keep_read(&mut mirror.attrs);
    let path = quote!(#ember::__private::schemars).to_string().replace(' ', "");
    mirror.attrs.push(parse_quote!(#[schemars(crate = #path)]));
    if !mirror.attrs.iter().any(renames) {
        let name = schema_name(input);
        mirror.attrs.push(parse_quote!(#[schemars(rename = #name)]));
    }
    match &mut mirror.data {
        Data::Struct(data) => data.fields.iter_mut().for_each(keep_read_of_field),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                keep_read(&mut variant.attrs);
                variant.fields.iter_mut().for_each(keep_read_of_field);
            }
        }
        Data::Union(_) => {}
    }
    mirror
}

fn keep_read(attributes: &mut Vec<Attribute>) {
    attributes.retain(|attribute| READ.iter().any(|name| attribute.path().is_ident(name)));
}

fn keep_read_of_field(field: &mut Field) {
    keep_read(&mut field.attrs);
    field.vis = parse_quote!();
}

/// The name as `schemars` would give it to the type itself.
fn schema_name(input: &DeriveInput) -> String {
    let params: Vec<_> =
        input.generics.type_params().map(|param| format!("{{{}}}", param.ident)).collect();
    match params.is_empty() {
        true => input.ident.to_string(),
        false => format!("{}_for_{}", input.ident, params.join("_and_")),
    }
}

/// Tells whether an attribute gives the type another name.
fn renames(attribute: &Attribute) -> bool {
    metas(attribute).iter().any(|meta| meta.path().is_ident("rename"))
}

/// Tells whether an attribute takes what is missing from the type's own default.
fn defaults(attribute: &Attribute) -> bool {
    metas(attribute)
        .iter()
        .any(|meta| matches!(meta, syn::Meta::Path(path) if path.is_ident(keys::DEFAULT)))
}

fn metas(attribute: &Attribute) -> Punctuated<syn::Meta, Token![,]> {
    let read = ["serde", "schemars"].iter().any(|name| attribute.path().is_ident(name));
    let metas = read.then(|| attribute.parse_args_with(Punctuated::parse_terminated));
    metas.and_then(Result::ok).unwrap_or_default()
}

/// `#[serde(default)]` on a struct asks the type for its default, so the mirror needs it, too.
fn default(input: &DeriveInput, mirror: &Ident) -> Option<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return None;
    };
    let Fields::Named(fields) = &data.fields else {
        return None;
    };
    input.attrs.iter().find(|attribute| defaults(attribute))?;
    let (name, names) =
        (&input.ident, fields.named.iter().map(|field| &field.ident).collect::<Vec<_>>());
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    let bounds = where_clause.map(|clause| &clause.predicates).into_iter().flatten();
    Some(quote! {
        impl #impl_generics ::core::default::Default for #mirror #ty_generics
        where
            #(#bounds,)*
            #name #ty_generics: ::core::default::Default,
        {
            fn default() -> Self {
                let default = <#name #ty_generics as ::core::default::Default>::default();
                Self { #(#names: default.#names),* }
            }
        }
    })
}

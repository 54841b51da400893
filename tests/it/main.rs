//! Tests of Ember from outside, in one binary: through the macros, over sockets, with recorded input.

mod layering;
mod sse;
mod recordings;

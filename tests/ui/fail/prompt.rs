use ember::prelude::*;

fn main() {
    let question = "Why?";
    let _ = prompt!("{qestion}");
    let _ = prompt!("{question}", qestion = 1);
    let _ = prompt!("{question} {} {0} {question:?}");
    let _ = prompt!("{question");
    let _ = prompt!("{question} }");
    let _ = prompt!("{a}", a = 1, a = 2);
    let _ = prompt!("{a}", a = std::cell::Cell::new(1));
    let _ = prompt_file!("prompts/none.md");
}

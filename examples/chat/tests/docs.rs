//! What `docs/from-tungstenite.md` shows of these programs.

use std::fs;

#[test]
fn what_the_docs_show_of_a_program_is_in_it() {
    let page = include_str!("../../../docs/from-tungstenite.md");
    let mut shown = 0;
    // Text and code take turns. A program is named right before what is shown of it.
    for pair in page.split("```").collect::<Vec<_>>().chunks_exact(2) {
        let [text, block] = pair else { unreachable!() };
        let named = text.trim_end().rsplit("\n\n").next().unwrap();
        let Some((_, link)) = named.split_once("](../examples/chat/") else { continue };
        let path = link.split_once(')').unwrap().0;
        let program = fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let code = block.split_once('\n').unwrap().1;
        assert!(program.contains(code), "docs/from-tungstenite.md shows another {path}");
        shown += 1;
    }
    assert_eq!(shown, 2);
}

//! A page's tables and links, as far as we use Markdown.

/// `[text](target)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link<'p> {
    /// The text, without the backticks of code.
    pub(super) text: &'p str,
    /// Seen from the page.
    pub(super) target: &'p str,
}

impl Link<'_> {
    /// Whether the text is the name of a function: all of them have more than one word here.
    pub(super) fn names_a_function(&self) -> bool {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        self.text.contains('_') && self.text.bytes().all(is_name)
    }
}

/// The links in a line or a cell, in order.
pub(super) fn links(text: &str) -> impl Iterator<Item = Link<'_>> {
    text.match_indices("](").filter_map(|(middle, _)| {
        let start = text[..middle].rfind('[')? + 1;
        let (target, _) = text[middle + 2..].split_once(')')?;
        Some(Link { text: text[start..middle].trim_matches('`'), target })
    })
}

/// The rows of a page's tables, each by the number of its line and its last cell; what names the columns is none.
pub(super) fn rows(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = || page.lines().enumerate();
    let is_rule = |line: &str| line.starts_with("|--") || line.starts_with("| --");
    lines().zip(lines().skip(1).map(|(_, next)| next).chain([""])).filter_map(move |((at, line), next)| {
        let cells = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
        (!is_rule(line) && !is_rule(next)).then(|| (at + 1, cells.rsplit('|').next().unwrap_or_default().trim()))
    })
}

/// Whether a cell is a reason: a kind, which is slanted, and what there is to be said.
pub(super) fn is_reason(cell: &str) -> bool {
    let reason = cell.strip_prefix('*').and_then(|rest| rest.split_once("*: "));
    reason.is_some_and(|(kind, words)| !kind.is_empty() && !words.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link<'p>(text: &'p str, target: &'p str) -> Link<'p> {
        Link { text, target }
    }

    #[test]
    fn links_are_found_in_order_with_and_without_backticks() {
        let found: Vec<_> = links("a [b](c) [`d_e`](../f.rs), [g] (h) and [i j](k.md#l)").collect();
        assert_eq!(found, [link("b", "c"), link("d_e", "../f.rs"), link("i j", "k.md#l")]);
        assert_eq!(links("no ](end").count(), 0);
    }

    #[test]
    fn names_of_functions_have_more_than_one_word() {
        assert!(link("a_frame_of_2_bytes", "").names_a_function());
        for text in ["limits", "limits.rs", "A_B", "a_b()", "the limits_page", ""] {
            assert!(!link(text, "").names_a_function(), "{text}");
        }
    }

    #[test]
    fn rows_are_told_by_their_last_cell_without_the_heads_of_tables() {
        let page = "\
a | b

| what | proof |
|---|---|
| one | [x_y](z) |
| two | *application*: it decides |
| three | |

| what | proof |
| --- | --- |
| four | five |
";
        let found: Vec<_> = rows(page).collect();
        assert_eq!(found, [(5, "[x_y](z)"), (6, "*application*: it decides"), (7, ""), (11, "five")]);
    }

    #[test]
    fn a_reason_has_a_kind_and_words() {
        assert!(is_reason("*out of scope*: there are no names to be looked up"));
        for none in ["", "because", "*application*", "*application*: ", "**: it decides", "application: it decides"] {
            assert!(!is_reason(none), "{none}");
        }
    }
}

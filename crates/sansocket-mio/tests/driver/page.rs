//! docs/limits.md, held against the settings of a loop.

use sansocket_mio::Settings;

const PAGE: &str = include_str!("../../../../docs/limits.md");

#[test]
fn the_page_of_limits_has_every_setting_with_its_default() {
    // Taken apart without `..`: a new setting does not compile before it stands here. Those that are ignored are on the page by themselves.
    let Settings {
        limits: _,
        timeouts: _,
        head_limits: _,
        whole,
        high_mark,
        low_mark,
        queue,
        #[cfg(feature = "deflate")]
            compression: _,
    } = Settings::DEFAULT;
    assert_eq!(whole, usize::MAX);
    for (name, default) in [
        ("whole", "all".to_owned()),
        ("high_mark", format!("{} KiB", high_mark >> 10)),
        ("low_mark", format!("{} KiB", low_mark >> 10)),
        ("queue", format!("{} MiB", queue >> 20)),
    ] {
        let row = PAGE.lines().find(|line| line.contains(&format!("`Settings::{name}`"))).unwrap_or_default();
        assert_eq!(row.split(" | ").nth(1), Some(&*default), "docs/limits.md on Settings::{name}");
    }
}

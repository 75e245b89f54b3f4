//! What was measured, as tables and charts.

use std::fmt::Write as _;

use super::Origin;
use super::goals::Verdict;
use super::measured::{Case, Class, OURS, TIE};
use crate::chart::Chart;
use crate::report;

/// The folder of the charts, beside the page.
pub(super) const CHARTS: &str = "performance";

/// Ratios beyond it leave nothing of the small ones on an axis from 0.
const FAR: f64 = 10.0;

/// The table of a case, and what has to be said about it.
pub(super) fn table(case: &Case) -> String {
    let row = |name: String, cell: &dyn Fn(u64) -> Option<String>| {
        let cells = case.sizes.iter().map(|&size| cell(size).unwrap_or_default());
        [name].into_iter().chain(cells).collect::<Vec<_>>()
    };
    let header = row("ns".into(), &|size| Some(report::size(size)));
    let times = case
        .engines
        .iter()
        .map(|engine| row(name(case, engine), &|size| case.at(engine, size).and_then(|it| it.ns).map(report::number)));
    let mut rows: Vec<_> = times.collect();
    if case.sizes.iter().any(|&size| case.best_peer(size).is_some()) {
        rows.push(row("*best peer that checks the same*".into(), &|size| Some(case.best_peer(size)?.0.to_owned())));
        rows.push(row("*its time ÷ ours*".into(), &|size| case.best_peer(size).map(|(_, ratio)| with_tie(ratio))));
    }
    for limit in engines(case, Class::Limit) {
        let ratio = |size| Some(format!("{:.2}", 1.0 / case.at(limit, size)?.vs_ours?));
        rows.push(row(format!("*our time ÷ {limit}*"), &ratio));
    }
    report::table(&header, &rows) + &allocations(case) + &lacks(case)
}

/// The chart of a case, if there is something to compare.
pub(super) fn chart(case: &Case) -> Option<Chart> {
    let ratio = |engine: &str, size| match engine {
        OURS => case.at(engine, size).map(|_| 1.0),
        _ => case.at(engine, size)?.vs_ours,
    };
    // The other limits are far below the first one, and tell less.
    let left_out: Vec<_> = engines(case, Class::Limit).skip(1).collect();
    let shown = case.engines.iter().filter(|engine| !left_out.contains(&engine.as_str()));
    let series = shown
        .map(|engine| (name(case, engine), case.sizes.iter().map(|&size| ratio(engine, size)).collect::<Vec<_>>()));
    let series: Vec<_> = series.filter(|(_, ratios)| ratios.iter().any(Option::is_some)).collect();
    let most = series.iter().flat_map(|(_, ratios)| ratios).flatten().fold(0.0, |most: f64, &ratio| most.max(ratio));
    (series.len() > 1).then(|| Chart {
        title: case.name.clone(),
        unit: format!("time ÷ {OURS}'s"),
        categories: case.sizes.iter().map(|&size| report::size(size)).collect(),
        series,
        log: most > FAR,
    })
}

/// The name of a case's chart in its folder.
pub(super) fn chart_file(case: &Case) -> String {
    let words = case.name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    format!("engine-{}.svg", words.collect::<Vec<_>>().join("-"))
}

/// The section of a page, with what was measured where.
pub(super) fn section(cases: &[Case], verdict: &Verdict, origin: &Origin) -> String {
    let mut page = format!("{origin}\n\n{}", goals(verdict));
    for case in cases {
        write!(page, "\n### {}\n\n", case.name).expect("a String takes all");
        if chart(case).is_some() {
            write!(page, "![{}: time by ours]({CHARTS}/{})\n\n", case.name, chart_file(case))
                .expect("a String takes all");
        }
        page.push_str(&table(case));
    }
    page
}

/// What became of the goals.
pub(super) fn goals(verdict: &Verdict) -> String {
    let Verdict { missed, unmeasured } = verdict;
    let lists = [("Goals that are missed", missed), ("Goals of which nothing was measured", unmeasured)];
    let lists = lists.iter().filter(|(_, lines)| !lines.is_empty());
    match lists.map(|(title, lines)| format!("{title}:\n\n{}", list(lines))).collect::<Vec<_>>() {
        lists if lists.is_empty() => "All goals are reached.\n".to_owned(),
        lists => lists.join("\n"),
    }
}

/// A list in Markdown.
fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("- {line}\n")).collect()
}

/// Those with a dagger check less than we do, if only at some sizes.
fn name(case: &Case, engine: &str) -> String {
    let checks_less = case.of(engine).any(|it| it.lacks.is_some());
    if checks_less { format!("{engine} †") } else { engine.to_owned() }
}

fn with_tie(ratio: f64) -> String {
    let is_tie = (1.0 / TIE..=TIE).contains(&ratio);
    format!("{ratio:.2}{}", if is_tie { ", a tie" } else { "" })
}

fn engines(case: &Case, class: Class) -> impl Iterator<Item = &str> {
    case.engines.iter().map(String::as_str).filter(move |engine| case.of(engine).any(|it| it.class == class))
}

/// How often each engine allocates; those of one case differ little between the sizes.
fn allocations(case: &Case) -> String {
    let counted = case.engines.iter().filter_map(|engine| {
        let counts = case.of(engine).filter_map(|it| it.allocations).map(|count| (count * 100.0).round() / 100.0);
        let (least, most) = counts.fold((f64::MAX, 0f64), |(least, most), count| (least.min(count), most.max(count)));
        match least {
            f64::MAX => None,
            least if least == most => Some(format!("{engine} {most}")),
            least => Some(format!("{engine} {least} to {most}")),
        }
    });
    match counted.collect::<Vec<_>>() {
        counted if counted.is_empty() => String::new(),
        counted => format!("\nAllocations per message: {}.\n", counted.join(", ")),
    }
}

/// What each peer does not check, and with which sizes if that is not so with all.
fn lacks(case: &Case) -> String {
    let lacks = case.engines.iter().filter_map(|engine| {
        let lacking: Vec<_> = case.of(engine).filter_map(|it| Some((it.size, it.lacks.as_ref()?))).collect();
        let (_, lacks) = lacking.first()?;
        let sizes: Vec<_> = lacking.iter().map(|(size, _)| report::size(*size)).collect();
        let is_always = sizes.len() == case.of(engine).count();
        Some(format!("{engine} {lacks}{}", if is_always { String::new() } else { format!(" ({})", sizes.join(", ")) }))
    });
    match lacks.collect::<Vec<_>>() {
        lacks if lacks.is_empty() => String::new(),
        lacks => format!("\n† checks less: {}.\n", lacks.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::measured::{CANNED, parse};
    use super::*;

    #[test]
    fn a_table_has_engines_as_rows_and_sizes_as_columns_with_ratios_below() {
        assert_eq!(
            table(&parse(CANNED).unwrap()[0]),
            "\
| ns                               |            1 KiB |       1 MiB |
|----------------------------------|-----------------:|------------:|
| sansocket                        |             40.0 |      57,000 |
| sansocket as_bytes               |             38.0 |             |
| tungstenite                      |              137 |     101,337 |
| tokio-websockets                 |             42.0 |             |
| websocket-sans-io †              |             20.0 |             |
| bare parser                      |             30.0 |             |
| *best peer that checks the same* | tokio-websockets | tungstenite |
| *its time ÷ ours*                |      1.04, a tie |        1.80 |
| *our time ÷ bare parser*         |             1.33 |             |

Allocations per message: sansocket 0 to 0.5, sansocket as_bytes 0, tungstenite 1 to 2, tokio-websockets 1.5, bare parser 0.

† checks less: websocket-sans-io lets pass all.
"
        );
    }

    #[test]
    fn what_is_checked_with_some_sizes_only_names_the_others() {
        let line = CANNED.lines().last().unwrap().replace("ours", "peer");
        let run =
            format!("{line}\n{}\n", line.replace("125", "16").replace(r#""lacks":null"#, r#""lacks":"lets pass all""#));
        let table = table(&parse(&run).unwrap()[0]);
        assert!(table.ends_with("\n† checks less: sansocket lets pass all (16 B).\n"), "{table}");
    }

    #[test]
    fn a_ratio_within_a_tenth_is_a_tie() {
        let verdicts = [0.9, 0.92, 1.0, 1.09, 1.11].map(with_tie);
        assert_eq!(verdicts, ["0.90", "0.92, a tie", "1.00, a tie", "1.09, a tie", "1.11"]);
    }

    #[test]
    fn a_chart_shows_ratios_and_is_logarithmic_if_they_are_far_apart() {
        let chart = |run: &str| chart(&parse(run).unwrap()[0]).unwrap();
        let shown = chart(CANNED);
        assert!(!shown.log);
        assert_eq!(shown.series[0], ("sansocket".into(), vec![Some(1.0), Some(1.0)]));
        assert_eq!(shown.series[2], ("tungstenite".into(), vec![Some(3.4), Some(1.8)]));
        assert_eq!(shown.series[4], ("websocket-sans-io †".into(), vec![Some(0.5), None]));
        assert!(chart(&CANNED.replace("3.4", "20.0")).log);
        let memcpy = CANNED.lines().nth(5).unwrap().replace("bare parser", "memcpy");
        assert_eq!(chart(&format!("{CANNED}{memcpy}\n")).series, shown.series);
    }

    #[test]
    fn a_section_tells_what_is_missed_and_has_a_chart_where_there_is_something_to_compare() {
        let cases = parse(CANNED).unwrap();
        let missed = Verdict { missed: vec!["receive: slow".into()], ..Verdict::default() };
        let origin = Origin { machine: "two cores, 2026-11-26".into(), peers: "Peers: tungstenite 0.30.0".into() };
        let page = section(&cases, &missed, &origin);
        let head = "two cores, 2026-11-26. Peers: tungstenite 0.30.0.\n\nGoals that are missed:\n\n- receive: slow\n\n### receive/server/binary\n\n";
        assert!(page.starts_with(head), "{page}");
        assert!(page.contains("](performance/engine-receive-server-binary.svg)\n\n| ns "), "{page}");
        assert!(page.contains("\n### something/new\n\n| ns        | 125 B |\n"), "{page}");
    }

    #[test]
    fn goals_are_reached_if_none_is_missed_and_each_was_measured() {
        let [missed, unmeasured] = [vec!["slow".to_owned()], vec!["unknown".to_owned()]];
        assert_eq!(goals(&Verdict::default()), "All goals are reached.\n");
        assert_eq!(
            goals(&Verdict { missed, unmeasured }),
            "Goals that are missed:\n\n- slow\n\nGoals of which nothing was measured:\n\n- unknown\n"
        );
    }
}

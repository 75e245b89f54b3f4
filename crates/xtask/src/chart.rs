//! Bars in groups, as an SVG that can be read on a light page and on a dark one.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// In pixels; the legend has its place at the right.
const SIZE: (u32, u32) = (960, 400);
const LEGEND: u32 = 230;

/// Ours, and ours measured in another way. All colours but the greys are of the palette of Okabe and Ito, made for the colour-blind too.
const OURS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(86, 180, 233)];
const OTHERS: [RGBColor; 7] = [
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(204, 121, 167),
    RGBColor(90, 90, 90),
    RGBColor(170, 170, 170),
    RGBColor(240, 228, 66),
];

/// For each category a group of bars, one of each series that has a value there.
pub(crate) struct Chart {
    /// What is shown.
    pub(crate) title: String,
    /// What the values count, for the axis.
    pub(crate) unit: String,
    /// The groups' names.
    pub(crate) categories: Vec<String>,
    /// Names, and a value above 0 for each category, or none. What begins with `sansocket` is ours and has our colour.
    pub(crate) series: Vec<(String, Vec<Option<f64>>)>,
    /// Whether the axis is logarithmic; it begins at 0 otherwise.
    pub(crate) log: bool,
}

impl Chart {
    /// Writes it as an SVG; the folder is made if it is not there.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let cannot = || format!("cannot write {}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(cannot)?;
        }
        fs::write(path, self.svg().with_context(cannot)?).with_context(cannot)
    }

    fn svg(&self) -> Result<String> {
        let mut values = self.series.iter().flat_map(|(_, values)| values).flatten().peekable();
        let can_be_drawn = values.peek().is_some() && values.all(|value| value.is_finite() && *value > 0.0);
        ensure!(can_be_drawn, "{:?} has no bars, or some that cannot be drawn", self.title);
        let mut svg = String::new();
        // The error of a drawing on a String cannot outlive it.
        self.draw(SVGBackend::with_string(&mut svg, SIZE)).map_err(|error| anyhow!("{error}"))?;
        Ok(svg)
    }

    fn draw<B: DrawingBackend>(&self, backend: B) -> Drawn<B> {
        let root = backend.into_drawing_area();
        root.fill(&WHITE)?;
        let (plot, legend) = root.split_horizontally(SIZE.0 - LEGEND);
        self.draw_legend(&legend)?;
        let values = self.series.iter().flat_map(|(_, values)| values).flatten();
        let (least, most) = values.fold((f64::MAX, 0f64), |(least, most), &value| (least.min(value), most.max(value)));
        if self.log {
            let ticks = ticks(least..most);
            let range = ticks[0]..ticks[ticks.len() - 1];
            self.draw_bars(&plot, range.start, range.log_scale().with_key_points(ticks))?;
        } else {
            self.draw_bars(&plot, 0.0, 0.0..most * 1.05)?;
        }
        root.present()
    }

    fn draw_bars<B: DrawingBackend, Y>(&self, area: &DrawingArea<B, Shift>, floor: f64, axis: Y) -> Drawn<B>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let groups = 0.0..self.categories.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(30)
            .y_label_area_size(64)
            .build_cartesian_2d(groups, axis)?;
        let unit = if self.log { format!("{} (logarithmic)", self.unit) } else { self.unit.clone() };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .light_line_style(TRANSPARENT)
            .y_label_formatter(&|value| number(*value))
            .y_desc(unit)
            .label_style(("sans-serif", 14))
            .draw()?;
        // The axis would write numbers where it likes.
        let centered = ("sans-serif", 14).into_text_style(area).pos(Pos::new(HPos::Center, VPos::Top));
        let (left, top) = area.get_base_pixel();
        for (group, name) in self.categories.iter().enumerate() {
            let (x, y) = chart.plotting_area().map_coordinate(&(group as f64 + 0.5, floor));
            area.draw_text(name, &centered, (x - left, y - top + 8))?;
        }
        for (index, ((_, values), color)) in self.series.iter().zip(self.colors()).enumerate() {
            let bars = values.iter().enumerate().filter_map(|(group, value)| {
                let Range { start, end } = self.place(group, index);
                value.map(|value| Rectangle::new([(start, floor), (end, value)], color.filled()))
            });
            chart.draw_series(bars)?;
        }
        Ok(())
    }

    /// Where on the axis a bar stands: a group has a fifth of its width free around it.
    fn place(&self, group: usize, series: usize) -> Range<f64> {
        let width = 0.8 / self.series.len() as f64;
        let start = group as f64 + 0.1 + series as f64 * width;
        start..start + width * 0.92
    }

    /// The names in the order of the bars.
    fn draw_legend<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        for (index, ((name, _), color)) in self.series.iter().zip(self.colors()).enumerate() {
            let top = 56 + 24 * index as i32;
            area.draw(&Rectangle::new([(0, top), (14, top + 14)], color.filled()))?;
            area.draw(&Text::new(name.as_str(), (22, top), ("sans-serif", 15)))?;
        }
        Ok(())
    }

    fn colors(&self) -> impl Iterator<Item = RGBColor> {
        let (mut ours, mut others) = (OURS.into_iter().cycle(), OTHERS.into_iter().cycle());
        self.series.iter().filter_map(
            move |(name, _)| {
                if name.starts_with("sansocket") { ours.next() } else { others.next() }
            },
        )
    }
}

type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Ones, twos and fives of all powers of ten, from the last one below the range to the first one that it does not exceed.
fn ticks(range: Range<f64>) -> Vec<f64> {
    let exponents = range.start.log10().floor() as i32 - 1..=range.end.log10().ceil() as i32;
    let all: Vec<_> =
        exponents.flat_map(|exponent| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(exponent))).collect();
    let first = all.iter().rposition(|tick| *tick < range.start).unwrap_or(0);
    let last = all.iter().position(|tick| *tick >= range.end).unwrap_or(all.len() - 1);
    all[first..=last].to_vec()
}

/// Without digits that say nothing.
fn number(value: f64) -> String {
    format!("{}", (value * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(log: bool) -> Chart {
        Chart {
            title: "Time & again".into(),
            unit: "ns".into(),
            categories: vec!["16 B".into(), "1 KiB".into()],
            series: vec![
                ("other".into(), vec![Some(12.0), Some(140.0)]),
                ("sansocket".into(), vec![Some(6.0), None]),
                ("sansocket as_bytes".into(), vec![Some(5.0), Some(30.0)]),
            ],
            log,
        }
    }

    fn bars_of(svg: &str, color: &str) -> usize {
        svg.lines().filter(|line| line.starts_with("<rect") && line.contains(&format!("fill=\"{color}\""))).count()
    }

    #[test]
    fn each_value_has_a_bar_of_its_color_beside_one_in_the_legend() {
        for log in [false, true] {
            let svg = chart(log).svg().unwrap();
            let counts = ["#E69F00", "#0072B2", "#56B4E9"].map(|color| bars_of(&svg, color));
            assert_eq!(counts, [2 + 1, 1 + 1, 2 + 1], "{svg}");
        }
    }

    #[test]
    fn a_logarithmic_axis_says_so_and_its_ticks_enclose_all_bars() {
        let svg = chart(true).svg().unwrap();
        assert!(svg.contains("ns (logarithmic)"), "{svg}");
        for label in ["2", "5", "10", "20", "50", "100", "200"] {
            assert!(svg.lines().any(|line| line == label), "{label} in {svg}");
        }
        assert_eq!(ticks(0.9..1.0), [0.5, 1.0]);
        assert_eq!(ticks(1.0..1.0), [0.5, 1.0]);
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        for value in [None, Some(f64::NAN), Some(f64::INFINITY), Some(0.0)] {
            let chart = Chart { series: vec![("other".into(), vec![value])], ..chart(false) };
            let error = chart.svg().unwrap_err().to_string();
            assert_eq!(error, r#""Time & again" has no bars, or some that cannot be drawn"#, "{value:?}");
        }
    }

    #[test]
    fn names_are_escaped() {
        assert!(chart(false).svg().unwrap().contains("Time &amp; again"));
    }
}

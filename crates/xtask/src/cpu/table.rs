//! What has come out of the loads, as a table, a chart and a judgement.

use super::{Row, turns::Turns};
use crate::chart::Chart;
use crate::report;

/// Who was measured, and what: by the TCP echo, which comes first, all are measured, and the one that comes second, which is ours, has goals.
pub(super) struct Table {
    pub(super) servers: Vec<String>,
    pub(super) rows: Vec<(Row, Turns)>,
    pub(super) goals: Goals,
}

/// What ours is to reach.
pub(super) struct Goals {
    /// How many times the processor time of the TCP echo a message may take, if that is limited.
    most: fn(&Row) -> Option<f64>,
    /// Whether nobody else may take less.
    is_best: bool,
}

impl Goals {
    /// The rows' own.
    pub(super) const MIO: Self = Self { most: |row| Some(row.goal), is_best: false };

    /// Nobody takes less, and where several messages are in flight, they do not take much more than one write.
    pub(super) const TOKIO: Self = Self { most: |row| (row.in_flight > 1).then_some(1.5), is_best: true };
}

const ECHO: usize = 0;
const OURS: usize = 1;

impl Table {
    /// Servers as lines, loads as columns: the processor time of a message by that of the TCP echo.
    pub(super) fn markdown(&self) -> String {
        let line = |name: &str, cell: &dyn Fn(&Row, &Turns) -> String| {
            let mut cells = vec![name.to_owned()];
            cells.extend(self.rows.iter().map(|(row, turns)| cell(row, turns)));
            cells
        };
        let header = line("", &|row, _| row.to_string());
        let mut lines = vec![line("TCP echo, ns", &|_, turns| report::number(turns.median(ECHO)))];
        for (index, server) in self.servers.iter().enumerate().skip(OURS) {
            lines.push(line(server, &|_, turns| format!("{:.2}", turns.ratio(index, ECHO))));
        }
        let goal = |row: &Row| match (self.goals.most)(row) {
            Some(most) => format!("≤ {most:.2}"),
            None => String::from("the least"),
        };
        lines.push(line(&format!("*goal for {}*", self.servers[OURS]), &|row, _| goal(row)));
        report::table(&header, &lines)
    }

    /// The goals that were missed, in words. A goal has two digits, and so has what is held against it.
    pub(super) fn missed(&self) -> Vec<String> {
        let rounded = |ratio: f64| (ratio * 100.0).round();
        let ours = &self.servers[OURS];
        let mut missed = Vec::new();
        for (row, turns) in &self.rows {
            let ratio = turns.ratio(OURS, ECHO);
            if let Some(most) = (self.goals.most)(row).filter(|most| rounded(ratio) > rounded(*most)) {
                missed.push(format!("{ours}, {row}: {ratio:.3}, and the goal is {most:.2}"));
            }
            let others = self.servers.iter().enumerate().skip(OURS + 1).filter(|_| self.goals.is_best);
            for (index, other) in others {
                let of_other = turns.ratio(index, ECHO);
                if rounded(of_other) < rounded(ratio) {
                    missed.push(format!("{ours}, {row}: {ratio:.3}, and {other} takes {of_other:.3}"));
                }
            }
        }
        missed
    }

    /// Charts, each with the end of its file's name: of one message in flight, and of several, where some make so many system calls that the rest would not be seen.
    pub(super) fn charts(&self) -> [(&'static str, Chart); 2] {
        let one = self.chart("one message in flight", |row| row.in_flight == 1);
        let several = self.chart("several messages in flight", |row| row.in_flight > 1);
        [("", one), ("-in-flight", several)]
    }

    fn chart(&self, what: &str, is_in: impl Fn(&Row) -> bool) -> Chart {
        let rows: Vec<_> = self.rows.iter().filter(|(row, _)| is_in(row)).collect();
        let ratios = |index| rows.iter().map(|(_, turns)| Some(turns.ratio(index, ECHO))).collect();
        let servers = self.servers.iter().enumerate().skip(OURS);
        Chart {
            title: format!("Processor time of an echoed message, by that of a TCP echo: {what}"),
            unit: "times a TCP echo".into(),
            categories: rows.iter().map(|(row, _)| row.to_string()).collect(),
            series: servers.map(|(index, name)| (name.clone(), ratios(index))).collect(),
            log: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A load on which the servers take so many nanoseconds, in every round.
    fn row(size: usize, goal: f64, times: [f64; 3]) -> (Row, Turns) {
        let row = Row { connections: 10, size, in_flight: 1, goal };
        (row, Turns::take(3, 1, |index| Ok(times[index])).unwrap())
    }

    fn table() -> Table {
        let rows = vec![row(1024, 1.02, [1000.0, 1024.0, 2000.0]), row(20, 1.02, [500.0, 513.0, 400.0])];
        Table {
            servers: ["TCP echo", "sansocket, mio", "other 1.0"].map(str::to_owned).into(),
            rows,
            goals: Goals::MIO,
        }
    }

    #[test]
    fn whoever_takes_less_than_ours_is_named_where_ours_is_to_be_the_best() {
        let table = Table { goals: Goals::TOKIO, ..table() };
        assert_eq!(table.missed(), ["sansocket, mio, 10 × 20 B: 1.026, and other 1.0 takes 0.800"]);
    }

    #[test]
    fn servers_are_lines_and_loads_columns() {
        let markdown = table().markdown();
        let lines: Vec<Vec<&str>> = markdown.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(lines[0], ["", "", "10 × 1 KiB", "10 × 20 B", ""]);
        assert_eq!(lines[2], ["", "TCP echo, ns", "1,000", "500", ""]);
        assert_eq!(lines[3], ["", "sansocket, mio", "1.02", "1.03", ""]);
        assert_eq!(lines[4], ["", "other 1.0", "2.00", "0.80", ""]);
        assert_eq!(lines[5], ["", "*goal for sansocket, mio*", "≤ 1.02", "≤ 1.02", ""]);
    }

    #[test]
    fn goals_that_are_missed_by_a_hundredth_are_named() {
        assert_eq!(table().missed(), ["sansocket, mio, 10 × 20 B: 1.026, and the goal is 1.02"]);
    }

    #[test]
    fn a_chart_has_all_but_the_echo_and_those_with_several_in_flight_have_their_own() {
        let mut table = table();
        table.rows[1].0.in_flight = 16;
        let [(_, one), (_, several)] = table.charts();
        assert_eq!(
            (one.categories, several.categories),
            (vec!["10 × 1 KiB".into()], vec!["10 × 20 B, 16 in flight".into()])
        );
        assert_eq!(one.series[1], ("other 1.0".to_owned(), vec![Some(2.0)]));
        assert_eq!(several.series[1], ("other 1.0".to_owned(), vec![Some(0.8)]));
        assert_eq!(one.series.len(), 2);
    }
}

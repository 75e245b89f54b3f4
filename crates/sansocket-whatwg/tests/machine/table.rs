//! The page that describes the object has tables of what happens when. These are the ones that run.

use std::sync::Arc;

use sansocket::{CloseCode, OwnedMessage};
use sansocket_whatwg::machine::{Command, End, Machine, Task};
use sansocket_whatwg::{DomException, Event, Failure, Pumped, ReadyState};

fn open() -> Machine {
    let mut machine = Machine::new("ws://example.com").with_buffer_limit(1);
    machine.queue(Task::Open { protocol: String::new(), extensions: String::new() });
    assert_eq!(machine.pump(), Pumped::Fired(Event::Open));
    machine
}

fn full() -> Machine {
    let mut machine = open();
    assert_eq!(machine.send("ab".into()), Ok(Some(Command::Fail)));
    machine
}

fn closing() -> Machine {
    let mut machine = open();
    assert!(machine.close(None, "").is_ok());
    machine
}

fn closing_by_the_server() -> Machine {
    let mut machine = open();
    machine.queue(Task::Closing);
    assert_eq!(machine.pump(), Pumped::Quiet);
    machine
}

fn given_up() -> Machine {
    let mut machine = Machine::new("ws://example.com");
    assert!(machine.close(None, "").is_ok());
    machine
}

fn closed() -> Machine {
    let mut machine = open();
    machine.queue(Task::Closed(End::Lost(None)));
    assert!(matches!(machine.pump(), Pumped::Fired(Event::Close(_))));
    machine
}

/// A column's head, and all ways to get there: they must make no difference.
type Column = (&'static str, &'static [fn() -> Machine]);

const COLUMNS: [Column; 6] = [
    ("CONNECTING", &[|| Machine::new("ws://example.com")]),
    ("OPEN", &[open]),
    ("OPEN, full", &[full]),
    ("CLOSING", &[closing, closing_by_the_server]),
    ("CLOSING, given up", &[given_up]),
    ("CLOSED", &[closed]),
];

type Row<F> = (&'static str, F);

const TASKS: [Row<fn() -> Task>; 6] = [
    ("`Open`", || Task::Open { protocol: String::new(), extensions: String::new() }),
    ("`Message`", || Task::Message(OwnedMessage::Text(String::from("text")))),
    ("`Closing`", || Task::Closing),
    ("`Closed`, clean", || Task::Closed(End::Clean { code: 1000, reason: String::new() })),
    ("`Closed`, lost", || Task::Closed(End::Lost(None))),
    ("`Closed`, failed", || Task::Closed(End::Failed(Arc::new(Failure::BlockedPort(25))))),
];

type Call = fn(&mut Machine) -> Result<Option<Command>, DomException>;

const CALLS: [Row<Call>; 4] = [
    ("`send`", |machine| machine.send("a".into())),
    ("`send` beyond the limit", |machine| machine.send("ab".into())),
    ("`close`", |machine| machine.close(Some(1000), "")),
    ("`go_away`", |machine| Ok(machine.go_away(Some(CloseCode::GOING_AWAY)))),
];

const fn name(state: ReadyState) -> &'static str {
    match state {
        ReadyState::Connecting => "CONNECTING",
        ReadyState::Open => "OPEN",
        ReadyState::Closing => "CLOSING",
        ReadyState::Closed => "CLOSED",
    }
}

/// The new state, if it is one, and what comes of it, if anything does.
fn cell(before: ReadyState, after: ReadyState, what: Vec<String>) -> String {
    let state = (before != after).then(|| name(after).to_owned());
    let parts: Vec<_> = state.into_iter().chain(what).collect();
    if parts.is_empty() { String::from("–") } else { parts.join(", ") }
}

fn cell_of_task(machine: &mut Machine, task: Task) -> String {
    let before = machine.ready_state();
    machine.queue(task);
    let mut events = Vec::new();
    loop {
        match machine.pump() {
            Pumped::Idle => break,
            Pumped::Quiet => {}
            Pumped::Fired(Event::Close(close)) if close.was_clean() => events.push(String::from("`close`: clean")),
            Pumped::Fired(Event::Close(close)) => events.push(format!("`close`: {}", close.code())),
            Pumped::Fired(event) => events.push(format!("`{}`", event.event_type())),
        }
    }
    cell(before, machine.ready_state(), events)
}

fn cell_of_call(machine: &mut Machine, call: Call) -> String {
    let before = machine.ready_state();
    let command = match call(machine) {
        Err(exception) => Some(format!("`{}`", exception.name())),
        Ok(Some(Command::Send(_))) => Some(String::from("send")),
        Ok(Some(Command::Close { .. })) => Some(String::from("send Close")),
        Ok(Some(Command::Fail)) => Some(String::from("give up")),
        Ok(None) => None,
    };
    cell(before, machine.ready_state(), command.into_iter().collect())
}

fn table<F: Copy>(corner: &str, rows: &[Row<F>], cell: impl Fn(&mut Machine, F) -> String) -> String {
    let heads: Vec<_> = COLUMNS.iter().map(|(head, _)| *head).collect();
    let mut table = format!("| {corner} | {} |\n|{}\n", heads.join(" | "), "---|".repeat(COLUMNS.len() + 1));
    for (head, row) in rows {
        table += &format!("| {head} |");
        for (column, ways) in COLUMNS {
            let mut cells: Vec<_> = ways.iter().map(|way| cell(&mut way(), *row)).collect();
            cells.dedup();
            assert_eq!(cells.len(), 1, "{head} in {column} depends on how it came there: {cells:?}");
            table += &format!(" {} |", cells[0]);
        }
        table.push('\n');
    }
    table
}

#[test]
fn row_64_the_tables_in_the_docs_are_the_ones_that_run() {
    let docs = include_str!("../../../../docs/websocket-object.md");
    for table in
        [table("task", &TASKS, |machine, task| cell_of_task(machine, task())), table("call", &CALLS, cell_of_call)]
    {
        assert!(docs.contains(&table), "docs/websocket-object.md lacks this table:\n{table}");
    }
}

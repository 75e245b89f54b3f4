//! What is compressed: messages that resemble each other as those of an application do, and are never the same.

/// Enough that no compressor sees the same message again while it still remembers it.
const LEN: usize = 2 << 20;

pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) messages: Vec<String>,
}

impl Sample {
    fn of(name: &'static str, mut next: impl FnMut() -> String) -> Self {
        let mut messages = vec![next()];
        let mut len = messages[0].len();
        while len < LEN {
            messages.push(next());
            len += messages[messages.len() - 1].len();
        }
        Self { name, messages }
    }

    /// The mean length of a message.
    pub(crate) fn len(&self) -> usize {
        self.messages.iter().map(String::len).sum::<usize>() / self.messages.len()
    }
}

/// The five that everything is measured with.
pub(crate) fn all() -> [Sample; 5] {
    let mut random = Random(1);
    [
        Sample::of("JSON, 300 B", || chat(&mut random)),
        json("JSON, 2 KiB", 2 << 10),
        json("JSON, 16 KiB", 16 << 10),
        text("text, 16 KiB", 16 << 10),
        json("JSON, 1 MiB", 1 << 20),
    ]
}

/// Lists of chat messages of about `len` bytes.
pub(crate) fn json(name: &'static str, len: usize) -> Sample {
    let mut random = Random(2);
    Sample::of(name, || {
        let mut list = format!("{{\"channel\":\"{}\",\"messages\":[", random.word(&LATIN));
        while list.len() < len {
            list += &chat(&mut random);
            list.push(',');
        }
        // No longer than `len`, as nothing here takes it for JSON.
        list.truncate(len);
        list
    })
}

/// Sentences in several scripts, of `len` bytes or a few less.
fn text(name: &'static str, len: usize) -> Sample {
    let mut random = Random(3);
    Sample::of(name, || {
        let mut text = String::new();
        while text.len() < len {
            match random.below(5) {
                0 => random.sentence(&mut text, &LATIN, " "),
                1 => random.sentence(&mut text, &UMLAUTS, " "),
                2 => random.sentence(&mut text, &CYRILLIC, " "),
                3 => random.sentence(&mut text, &HAN, ""),
                _ => random.sentence(&mut text, &EMOJI, " "),
            }
        }
        text.truncate(text.floor_char_boundary(len));
        text
    })
}

/// One message of a chat, of about 300 bytes.
fn chat(random: &mut Random) -> String {
    let mut text = String::new();
    while text.len() < 80 {
        random.sentence(&mut text, &LATIN, " ");
    }
    let author = random.word(&LATIN);
    format!(
        "{{\"type\":\"message\",\"id\":\"{:016x}\",\"channel\":{},\"author\":{{\"id\":{},\"name\":\"{author}\"}},\
         \"sent\":\"2025-0{}-1{}T1{}:{}:{}.{}Z\",\"text\":\"{}\",\"edited\":{},\"mentions\":[{}],\"reactions\":{{\"+1\":{}}}}}",
        random.next(),
        random.below(40),
        random.below(100_000),
        random.below(9) + 1,
        random.below(10),
        random.below(10),
        random.below(50) + 10,
        random.below(50) + 10,
        random.below(900) + 100,
        text.trim_end(),
        random.below(8) == 0,
        random.below(100_000),
        random.below(20),
    )
}

const LATIN: [&str; 24] = [
    "a", "the", "in", "er", "on", "re", "at", "co", "st", "ing", "mo", "le", "ti", "ver", "ka", "do", "per", "su",
    "lo", "ment", "pi", "an", "qu", "ex",
];
const UMLAUTS: [&str; 16] =
    ["ü", "ber", "schö", "ge", "lich", "ä", "tig", "keit", "für", "ß", "un", "der", "é", "ñ", "çon", "å"];
const CYRILLIC: [&str; 16] =
    ["при", "вет", "ка", "ло", "сть", "не", "то", "ро", "во", "ми", "на", "ста", "ко", "ть", "ра", "ны"];
const HAN: [&str; 16] =
    ["世", "界", "你", "好", "我", "是", "的", "人", "在", "有", "中", "大", "来", "上", "国", "时"];
const EMOJI: [&str; 8] = ["🙂", "ok", "👍", "🎉", "ha", "❤", "🚀", "no"];

/// Marsaglia's xorshift: the same at every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    /// Some words are much more frequent than others.
    fn word(&mut self, syllables: &[&str]) -> String {
        let mut word = String::new();
        let mut index = self.below(64) * self.below(64) * self.below(8);
        loop {
            word += syllables[index % syllables.len()];
            index /= syllables.len();
            if index == 0 {
                return word;
            }
        }
    }

    fn sentence(&mut self, text: &mut String, syllables: &[&str], space: &str) {
        for _ in 0..self.below(8) + 4 {
            *text += &self.word(syllables);
            *text += space;
        }
        *text = text.trim_end().to_owned() + ". ";
    }
}

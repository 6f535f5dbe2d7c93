//! Keys by the names of QEMU's monitor: `a`, `ret`, `ctrl-alt-delete`.

/// The keysyms of modifiers, by name.
const MODIFIERS: &[(&str, u32)] = &[
    ("shift", 0xFFE1),
    ("shift_r", 0xFFE2),
    ("ctrl", 0xFFE3),
    ("ctrl_r", 0xFFE4),
    ("alt", 0xFFE9),
    ("alt_r", 0xFFEA),
    ("meta_l", 0xFFE7),
    ("meta_r", 0xFFE8),
];

/// Keys that type nothing, and those of the number pad.
const OTHERS: &[(&str, u32)] = &[
    ("ret", 0xFF0D),
    ("kp_enter", 0xFF8D),
    ("backspace", 0xFF08),
    ("tab", 0xFF09),
    ("esc", 0xFF1B),
    ("delete", 0xFFFF),
    ("insert", 0xFF63),
    ("home", 0xFF50),
    ("end", 0xFF57),
    ("left", 0xFF51),
    ("up", 0xFF52),
    ("right", 0xFF53),
    ("down", 0xFF54),
    ("pgup", 0xFF55),
    ("pgdn", 0xFF56),
    ("caps_lock", 0xFFE5),
    ("num_lock", 0xFF7F),
    ("scroll_lock", 0xFF14),
    ("print", 0xFF61),
    ("sysrq", 0xFF15),
    ("pause", 0xFF13),
    ("menu", 0xFF67),
    ("kp_add", 0xFFAB),
    ("kp_subtract", 0xFFAD),
    ("kp_multiply", 0xFFAA),
    ("kp_divide", 0xFFAF),
    ("kp_decimal", 0xFFAE),
];

/// Keys that type something other than their names, on an American keyboard: plain and with shift.
const TYPING: &[(&str, char, char)] = &[
    ("spc", ' ', ' '),
    ("minus", '-', '_'),
    ("equal", '=', '+'),
    ("bracket_left", '[', '{'),
    ("bracket_right", ']', '}'),
    ("backslash", '\\', '|'),
    ("semicolon", ';', ':'),
    ("apostrophe", '\'', '"'),
    ("grave_accent", '`', '~'),
    ("comma", ',', '<'),
    ("dot", '.', '>'),
    ("slash", '/', '?'),
    ("less", '<', '>'),
    ("asterisk", '*', '*'),
];

/// What the digits type with shift, from 0 on.
const SHIFTED_DIGITS: &[char] = &[')', '!', '@', '#', '$', '%', '^', '&', '*', '('];

fn named(table: &[(&str, u32)], name: &str) -> Option<u32> {
    table
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, keysym)| *keysym)
}

/// The keysym of a key, if there is one of that name.
fn keysym(name: &str, shift: bool) -> Option<u32> {
    if let Some(keysym) = named(MODIFIERS, name).or_else(|| named(OTHERS, name)) {
        return Some(keysym);
    }
    if let Some((_, plain, shifted)) = TYPING.iter().find(|(known, ..)| *known == name) {
        return Some(u32::from(if shift { *shifted } else { *plain }));
    }
    let number = |prefix: &str, last: u32| {
        let digits = name.strip_prefix(prefix)?;
        let number = digits.parse::<u32>().ok()?;
        (number <= last && number.to_string() == digits).then_some(number)
    };
    if let Some(number) = number("f", 12).filter(|number| *number > 0) {
        return Some(0xFFBD + number);
    }
    if let Some(number) = number("kp_", 9) {
        return Some(0xFFB0 + number);
    }
    let mut letters = name.chars();
    match (letters.next(), letters.next()) {
        (Some(letter @ 'a'..='z'), None) if shift => Some(u32::from(letter.to_ascii_uppercase())),
        (Some(letter @ 'a'..='z'), None) => Some(u32::from(letter)),
        (Some(digit @ '0'..='9'), None) => {
            let at = usize::try_from(u32::from(digit) - u32::from('0')).unwrap_or(0);
            let shifted = SHIFTED_DIGITS.get(at).copied().unwrap_or(digit);
            Some(u32::from(if shift { shifted } else { digit }))
        }
        _ => None,
    }
}

/// The keysyms of keys that are pressed one after the other and let go in the other order; a key by its code, such as
/// `0x1e`, is known to QEMU and does nothing in the simulated guest.
///
/// # Errors
/// QEMU's text on the first name that it does not know.
pub(crate) fn chord(text: &str) -> Result<Vec<u32>, String> {
    let names = text.split('-').collect::<Vec<_>>();
    let shift = names.iter().any(|name| ["shift", "shift_r"].contains(name));
    let mut pressed = Vec::new();
    for name in names {
        let code = name
            .strip_prefix("0x")
            .is_some_and(|digits| u8::from_str_radix(digits, 16).is_ok());
        match keysym(name, shift) {
            Some(keysym) => pressed.push(keysym),
            None if code => {}
            None => return Err(format!("invalid parameter: {name}")),
        }
    }
    Ok(pressed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_monitor_become_keysyms() {
        assert_eq!(chord("ctrl-alt-delete"), Ok(vec![0xFFE3, 0xFFE9, 0xFFFF]));
        assert_eq!(chord("a"), Ok(vec![0x61]));
        assert_eq!(chord("shift-a"), Ok(vec![0xFFE1, 0x41]));
        assert_eq!(chord("shift-2"), Ok(vec![0xFFE1, u32::from('@')]));
        assert_eq!(chord("f12"), Ok(vec![0xFFC9]));
        assert_eq!(chord("kp_7"), Ok(vec![0xFFB7]));
        assert_eq!(chord("0x1e"), Ok(vec![]));
    }

    #[test]
    fn a_name_that_nobody_knows_is_told() {
        for name in ["A", "f13", "f01", "kp_10", "enter", "", "0xfff"] {
            assert_eq!(chord(name), Err(format!("invalid parameter: {name}")));
        }
        assert_eq!(chord("ctrl-x-nope"), Err("invalid parameter: nope".to_owned()));
    }
}

//! Moments as operators write them: a day, or a date and time with its offset (RFC 3339 §5.6).

/// Of a day.
const DAY_SECS: u64 = 86_400;

/// Which moment a day alone means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfDay {
    /// Its first second, UTC.
    Start,
    /// The first second of the next day, UTC: until 31 December is until the year has ended.
    End,
}

/// Seconds since the Unix epoch; None: it is no such moment, or one before the epoch.
pub(crate) fn read(text: &str, of_day: OfDay) -> Option<u64> {
    let (day, time) = match text.split_once(['T', 't', ' ']) {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let midnight = days(day)?.checked_mul(DAY_SECS)?;
    match (time, of_day) {
        (Some(time), _) => midnight.checked_add_signed(seconds(time)?),
        (None, OfDay::Start) => Some(midnight),
        (None, OfDay::End) => midnight.checked_add(DAY_SECS),
    }
}

/// Since the epoch, of `2026-12-31`.
fn days(text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month).ok()?.checked_sub(1)?;
    if parts.next().is_some() || year < 1970 || day == 0 || day > *lengths.get(index)? {
        return None;
    }
    let before = year - 1;
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(before) - leaps(1969);
    Some(years + lengths[..index].iter().sum::<u64>() + day - 1)
}

/// Since midnight UTC, of `12:30:00Z` or `12:30:00.5+02:00`.
fn seconds(text: &str) -> Option<i64> {
    let at = text.find(['Z', 'z', '+', '-'])?;
    let (time, offset) = text.split_at(at);
    let time = time.split_once('.').map_or(Some(time), |(time, fraction)| {
        (!fraction.is_empty() && fraction.bytes().all(|octet| octet.is_ascii_digit())).then_some(time)
    })?;
    let mut parts = time.split(':');
    let (hour, minute, second) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = i64::try_from(hour * 3_600 + minute * 60 + second).ok()?;
    if offset.eq_ignore_ascii_case("z") {
        return Some(local);
    }
    let (hours, minutes) = offset[1..].split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let east = i64::try_from(hours * 3_600 + minutes * 60).ok()?;
    Some(if offset.starts_with('+') { local - east } else { local + east })
}

fn digits(text: &str, count: usize) -> Option<u64> {
    (text.len() == count && text.bytes().all(|octet| octet.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_nothing_else_is() {
        let rows = [
            ("1970-01-01", Some((0, 86_400))),
            ("2000-02-29", Some((951_782_400, 951_868_800))),
            ("2026-12-31", Some((1_798_675_200, 1_798_761_600))),
            ("2026-12-31T23:59:59Z", Some((1_798_761_599, 1_798_761_599))),
            ("2026-12-31 23:59:59.25z", Some((1_798_761_599, 1_798_761_599))),
            ("2027-01-01T00:59:59+01:00", Some((1_798_761_599, 1_798_761_599))),
            ("2026-12-31T18:59:59-05:00", Some((1_798_761_599, 1_798_761_599))),
            ("2100-02-29", None),
            ("2026-13-01", None),
            ("2026-00-01", None),
            ("2026-04-31", None),
            ("2026-4-3", None),
            ("1969-12-31", None),
            ("2026-12-31T23:59:59", None),
            ("2026-12-31T24:00:00Z", None),
            ("2026-12-31T23:59Z", None),
            ("2026-12-31T23:59:59+1:00", None),
            ("2026-12-31T23:59:59.Z", None),
            ("1970-01-01T00:00:00+01:00", None),
            ("tomorrow", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let found = read(text, OfDay::Start).zip(read(text, OfDay::End));
            assert_eq!(found, expected, "{text}");
        }
    }
}

//! Dates as mail writes them, from seconds since the Unix epoch. UTC only; there is no clock here.
//!
//! RFC 5322 §3.3 for header fields and reports, RFC 3339 for words that people and programs sort.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]; // 1 January 1970 was a Thursday.
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_SECS: u64 = 86_400;

/// `Tue, 24 Nov 2026 09:05:00 +0000` (RFC 5322 §3.3).
pub fn rfc5322(at: u64) -> String {
    let (year, month, day) = civil(at / DAY_SECS);
    let (hour, minute, second) = clock(at);
    let weekday = DAYS[(at / DAY_SECS % 7) as usize];
    let month = MONTHS[month as usize - 1];
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

/// `2026-11-24T09:05:00Z` (RFC 3339).
pub fn rfc3339(at: u64) -> String {
    let (year, month, day) = civil(at / DAY_SECS);
    let (hour, minute, second) = clock(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads what [`rfc3339`] writes; of RFC 3339's forms that one, in UTC and whole seconds, from 1970 on.
pub fn parse_rfc3339(text: &str) -> Result<u64, String> {
    let wrong = || format!("is no time; write one such as {}, in UTC", rfc3339(1_795_511_100));
    let number = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u64>().ok());
    let parts = [number(0, 4), number(5, 7), number(8, 10), number(11, 13), number(14, 16), number(17, 19)];
    let [Some(year), Some(month @ 1..=12), Some(day @ 1..), Some(hour), Some(minute), Some(second)] = parts else {
        return Err(wrong());
    };
    if year < 1970 {
        return Err(wrong());
    }
    let at = days(year, month, day) * DAY_SECS + hour * 3600 + minute * 60 + second;
    // What is written differently is no such day, no such minute, or another form.
    if rfc3339(at) == text { Ok(at) } else { Err(wrong()) }
}

/// The end of a day such as `2026-12-31`, UTC, or a time as [`rfc3339`] writes it, in seconds since the Unix epoch.
pub fn parse_end(text: &str) -> Result<u64, String> {
    let day = parse_rfc3339(&format!("{text}T00:00:00Z")).map(|start| start + DAY_SECS);
    let wrong =
        |_| format!("is neither a day such as 2026-12-31 nor a time such as {}, in UTC", rfc3339(1_795_511_100));
    day.or_else(|_| parse_rfc3339(text)).map_err(wrong)
}

/// Days from 1 January 1970 to this day: the inverse of [`civil`].
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn clock(at: u64) -> (u64, u64, u64) {
    (at / 3600 % 24, at / 60 % 60, at % 60)
}

/// Year, month and day of a day counted from 1 January 1970, in the proleptic Gregorian calendar. Years are counted
/// from 1 March here, so that the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // 1 March of the year 0
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_mail_writes_them() {
        let rows = [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00Z"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000", "2000-02-29T00:00:00Z"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 +0000", "2024-02-29T23:59:59Z"),
            (1_709_251_200, "Fri, 01 Mar 2024 00:00:00 +0000", "2024-03-01T00:00:00Z"),
            (1_795_511_100, "Tue, 24 Nov 2026 09:05:00 +0000", "2026-11-24T09:05:00Z"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 +0000", "2100-03-01T00:00:00Z"),
        ];
        for (at, mail, sortable) in rows {
            assert_eq!((rfc5322(at).as_str(), rfc3339(at).as_str()), (mail, sortable), "{at}");
            assert_eq!(parse_rfc3339(sortable), Ok(at));
        }
        let wrong = [
            "",
            "2026-11-24",
            "2026-11-24T09:05:00",
            "2026-11-24T09:05:00+01:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-24T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-24t09:05:00Z",
            "+026-11-24T09:05:00Z",
            "2026-11-00T00:00:00Z",
        ];
        for text in wrong {
            assert!(parse_rfc3339(text).is_err(), "{text}");
        }
    }
}

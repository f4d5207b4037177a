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
        }
    }
}

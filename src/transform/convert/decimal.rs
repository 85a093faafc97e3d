//! DECIMAL: the unscaled integer in two's complement, big-endian, in base64; or digits; or a JSON number.
//! Out comes exact text with as many digits after the point as the scale says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::transform::scan::Value;

use super::{DecimalText, Fault, content, mismatch};

/// 65 digits are 216 bits and a sign: 28 bytes. Longer is not MySQL's, and 32 are eight words.
const MAX_BYTES: usize = 32;
/// 2^256 has 78 digits.
const MAX_DIGITS: usize = 80;
/// Beyond these a JSON number's exponent leaves any decimal's range.
const EXPONENTS: std::ops::RangeInclusive<i32> = -400..=400;

const OTHER_SCALE: Fault = Fault::Mismatch("a number with more digits");

/// An unscaled integer: digits without leading zeros, so none for zero.
struct Digits {
    negative: bool,
    bytes: [u8; MAX_DIGITS],
    len: usize,
}

/// Appends the exact text.
pub(super) fn write(
    value: Value<'_>,
    precision: u8,
    scale: u8,
    text: DecimalText,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let digits = match value {
        Value::Number(number) => Digits::of_number(number, scale)?,
        Value::String(_) => {
            let string = content(value, scratch)?;
            let base64 = match text {
                DecimalText::Base64 => true,
                DecimalText::Digits => false,
                DecimalText::ByPoint => !string.contains('.'),
                DecimalText::Never => return mismatch(value),
            };
            if base64 {
                Digits::of_base64(string)?
            } else {
                Digits::of_number(string, scale)?
            }
        }
        other => return mismatch(other),
    };
    if digits.len > usize::from(precision) {
        return Err(OTHER_SCALE);
    }
    digits.put(usize::from(scale), out);
    Ok(())
}

// === impl Digits ===

impl Digits {
    fn of_base64(text: &str) -> Result<Self, Fault> {
        const NOT_BASE64: Fault = Fault::Mismatch(
            "a string that is not base64 (for decimals in text without a point, have the connector send schemas)",
        );
        // The estimate for 44 characters is 33 bytes.
        let mut bytes = [0; MAX_BYTES + 1];
        let len = STANDARD
            .decode_slice(text, &mut bytes)
            .map_err(|_| NOT_BASE64)?;
        let bytes = bytes.get(..len).unwrap_or_default();
        let negative = bytes.first().ok_or(NOT_BASE64)? & 0x80 != 0;
        match bytes.len() {
            ..=16 => Ok(Self::of_i128(bytes, negative)),
            17..=MAX_BYTES => Ok(Self::of_words(bytes, negative)),
            _ => Err(OTHER_SCALE),
        }
    }

    fn of_i128(bytes: &[u8], negative: bool) -> Self {
        let sign = if negative { -1 } else { 0 };
        let number = bytes
            .iter()
            .fold(sign, |n: i128, b| n << 8 | i128::from(*b));
        let mut buffer = itoa::Buffer::new();
        let mut digits = Self::none(negative);
        for digit in buffer.format(number.unsigned_abs()).bytes() {
            // 2^127 has 39 digits.
            let _ = digits.push(digit);
        }
        digits
    }

    /// By schoolbook: the magnitude in eight words, nine digits at a time off its low end.
    fn of_words(bytes: &[u8], negative: bool) -> Self {
        const CHUNK: u64 = 1_000_000_000;
        let mut extended = [if negative { 0xff } else { 0 }; MAX_BYTES];
        if let Some(low) = extended.get_mut(MAX_BYTES - bytes.len()..) {
            low.copy_from_slice(bytes);
        }
        let (chunks, _) = extended.as_chunks::<4>();
        let mut words = [0_u32; MAX_BYTES / 4];
        for (word, chunk) in words.iter_mut().zip(chunks) {
            *word = u32::from_be_bytes(*chunk);
        }
        if negative {
            let mut carry = true;
            for word in words.iter_mut().rev() {
                (*word, carry) = (!*word).overflowing_add(u32::from(carry));
            }
        }
        let mut reversed = [b'0'; MAX_DIGITS + 1];
        let mut len = 0;
        while words.iter().any(|w| *w != 0) {
            let mut rest = 0;
            for word in &mut words {
                let n = rest << 32 | u64::from(*word);
                *word = u32::try_from(n / CHUNK).unwrap_or_default();
                rest = n % CHUNK;
            }
            for _ in 0..9 {
                if let Some(digit) = reversed.get_mut(len) {
                    *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
                }
                rest /= 10;
                len += 1;
            }
        }
        let mut digits = Self::none(negative);
        for digit in reversed.iter().take(len).rev() {
            let _ = digits.push(*digit);
        }
        digits
    }

    /// Of `-?digits(.digits)?([eE][+-]?digits)?`, with as many digits after the point as `scale`.
    fn of_number(text: &str, scale: u8) -> Result<Self, Fault> {
        const NOT_DIGITS: Fault = Fault::Mismatch("a string that is no number");
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let exponent: i32 = exponent.parse().map_err(|_| NOT_DIGITS)?;
                (mantissa, exponent)
            }
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(NOT_DIGITS),
            None => (mantissa, ""),
        };
        if whole.is_empty() {
            return Err(NOT_DIGITS);
        }
        let mut digits = Self::none(negative);
        for digit in whole.bytes().chain(fraction.bytes()) {
            if !digit.is_ascii_digit() {
                return Err(NOT_DIGITS);
            }
            digits.push(digit)?;
        }
        if digits.len == 0 {
            return Ok(Self::none(false));
        }
        if !EXPONENTS.contains(&exponent) {
            return Err(OTHER_SCALE);
        }
        let places = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        let shift = exponent + i32::from(scale) - places;
        for _ in 0..shift {
            digits.push(b'0')?;
        }
        for _ in shift..0 {
            digits.len = digits.len.checked_sub(1).ok_or(OTHER_SCALE)?;
            if digits.bytes.get(digits.len) != Some(&b'0') {
                return Err(OTHER_SCALE);
            }
        }
        Ok(digits)
    }

    fn none(negative: bool) -> Self {
        Self {
            negative,
            bytes: [b'0'; MAX_DIGITS],
            len: 0,
        }
    }

    fn push(&mut self, digit: u8) -> Result<(), Fault> {
        if self.len == 0 && digit == b'0' {
            return Ok(());
        }
        *self.bytes.get_mut(self.len).ok_or(OTHER_SCALE)? = digit;
        self.len += 1;
        Ok(())
    }

    fn put(&self, scale: usize, out: &mut Vec<u8>) {
        let digits = self.bytes.get(..self.len).unwrap_or_default();
        if self.negative && !digits.is_empty() {
            out.push(b'-');
        }
        let whole = digits.len().saturating_sub(scale);
        let (whole, fraction) = digits.split_at(whole);
        if whole.is_empty() {
            out.push(b'0');
        } else {
            out.extend_from_slice(whole);
        }
        if scale > 0 {
            out.push(b'.');
            out.resize(out.len() + scale - fraction.len(), b'0');
            out.extend_from_slice(fraction);
        }
    }
}

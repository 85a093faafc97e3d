use proptest::prelude::*;

use super::*;

fn filter(words: &[&str]) -> Filter {
    Filter::new(words).unwrap()
}

fn hits(words: &[&str], text: &str) -> bool {
    filter(words).hits(&Normal::of(text))
}

#[test]
fn width_case_and_compatible_forms_evade_nothing() {
    for text in [
        "xx badword yy",
        "ＢＡＤＷＯＲＤ",
        "BaDwOrD",
        "ｂａｄword",
        "𝐛𝐚𝐝𝔀𝓸𝓻𝓭",
        "ⓑⓐⓓⓦⓞⓡⓓ",
        "notbadwords",
    ] {
        assert!(hits(&["badword"], text), "{text}");
        assert!(hits(&["ＢadＷORD"], text), "{text}");
    }
    assert!(!hits(&["badword"], "a bad word"));
}

#[test]
fn full_folding_knows_more_than_lower_case() {
    assert!(hits(&["strasse"], "STRAẞE") && hits(&["STRAẞE"], "straße"));
    assert!(hits(&["σίσυφος"], "ΣΊΣΥΦΟΣ"));
    assert!(hits(&["office"], "oﬃce"));
    assert!(hits(&["istanbul"], "İSTANBUL"));
    assert!(hits(&["kelvin"], "\u{212A}elvin"));
}

#[test]
fn what_nobody_sees_between_letters_evades_nothing() {
    for between in [
        '\u{200B}',
        '\u{200C}',
        '\u{200D}',
        '\u{2060}',
        '\u{FEFF}',
        '\u{00AD}',
        '\u{202E}',
        '\u{2066}',
        '\u{FE0F}',
        '\u{E0101}',
        '\u{180E}',
        '\u{034F}',
        '\u{3164}',
        '\u{115F}',
        '\u{E0041}',
        '\u{0336}',
        '\u{20DD}',
        '\0',
    ] {
        let latin = format!("b{between}a{between}d");
        assert!(hits(&["bad"], &latin), "{latin:?}");
        let wide = format!("傻{between}逼");
        assert!(hits(&["傻逼"], &wide), "{wide:?}");
    }
}

#[test]
fn words_of_one_character_are_read_as_one_word_and_no_others() {
    for text in ["b a d", "so b.a.d!", "B * A * D", "b－a－d", "b\u{2800}a d"] {
        assert!(hits(&["bad"], text), "{text}");
    }
    for text in ["傻 逼", "你 傻，逼", "傻*逼", "傻　逼"] {
        assert!(hits(&["傻逼"], text), "{text}");
    }
    assert!(hits(&["傻 逼"], "傻逼"));
    assert!(!hits(&["bad"], "grab adam"));
    assert!(!hits(&["傻逼"], "他很傻 逼我走"));
    assert!(!hits(&["bad"], "ba d"));
}

#[test]
fn letters_that_only_look_alike_stay_what_they_are() {
    assert!(!hits(&["bad"], "b\u{0430}d"));
    assert!(!hits(&["resume"], "résumé"));
    // A voiced kana is another syllable, and an Indic vowel sign another word.
    assert!(!hits(&["かき"], "がき"));
    assert!(!hits(&["कल"], "कुल"));
}

#[test]
fn a_keyword_that_everything_holds_is_refused() {
    for bad in ["", "  ", "\u{200B}", "\u{3164} \u{00AD}"] {
        assert!(
            matches!(Filter::new([bad]), Err(BadWord::Nothing(_))),
            "{bad:?}"
        );
    }
    assert_eq!(
        Filter::new(["x".repeat(65)]).unwrap_err(),
        BadWord::TooLong(65)
    );
    assert!(filter(&[]).is_empty() && !hits(&[], "anything"));
}

#[test]
fn a_bad_line_of_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("words.txt");
    std::fs::write(&file, "\u{FEFF}# comment\r\n\r\n bad \r\n傻逼\r\n").unwrap();
    let filter = load(&file).unwrap();
    assert!(filter.hits(&Normal::of("BAD")) && !filter.hits(&Normal::of("comment")));
    std::fs::write(&file, "fine\n\u{200B}\n").unwrap();
    let error = load(&file).unwrap_err().to_string();
    assert!(error.contains("words.txt, line 2"), "{error}");
    std::fs::write(&file, b"fine\nfine\n\xFF\n").unwrap();
    assert!(load(&file).unwrap_err().to_string().contains("line 3"));
    let missing = load(&folder.path().join("none")).unwrap_err().to_string();
    assert!(missing.contains("none"), "{missing}");
}

#[test]
fn every_character_is_in_its_form_whatever_it_was_written_as() {
    use unicode_normalization::UnicodeNormalization as _;
    // All but the long stretches of Han, Hangul and private use, of which each end is enough.
    let stretches = [
        0..=0x4E10,
        0x9FF0..=0xAC10,
        0xD790..=0xE010,
        0xF8F0..=0x1_3000,
        0x1_6000..=0x2_0010,
        0x2_F800..=0x2_FA20,
        0xE_0000..=0xE_1010,
    ];
    for c in stretches.into_iter().flatten().filter_map(char::from_u32) {
        let text = format!("字{c}字");
        let one = Normal::of(&text);
        let one: Vec<_> = one.texts().collect();
        assert!(unicode_normalization::is_nfkc(one[0]), "{c:?}");
        let decomposed: String = text.nfkd().collect();
        assert_eq!(
            Normal::of(&decomposed).texts().next(),
            Some(one[0]),
            "{c:?}"
        );
    }
}

proptest! {
    #[test]
    fn normalising_twice_is_normalising_once(text in "\\PC{0,40}") {
        let once = Normal::of(&text);
        let first = once.texts().next().unwrap();
        let twice = Normal::of(first);
        prop_assert_eq!(once.texts().collect::<Vec<_>>(), twice.texts().collect::<Vec<_>>());
    }

    #[test]
    fn a_keyword_is_found_in_whatever_holds_it(before in "\\PC{0,10}", word in "[a-zA-Zß-ÿА-Яа-я一-龥]{1,8}", after in "\\PC{0,10}") {
        // A mark at the end of what goes before or after would be part of the word.
        let text = format!("{before} {word} {after}");
        prop_assert!(hits(&[word.as_str()], &text), "{:?}", text);
    }

    #[test]
    fn case_is_never_seen(word in "[a-zA-Zß-ÿА-Яа-яΑ-Ωα-ω]{1,8}") {
        prop_assert!(hits(&[word.as_str()], &word.to_uppercase()));
        prop_assert!(hits(&[word.as_str()], &word.to_lowercase()));
    }
}

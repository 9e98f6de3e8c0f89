"""Texts that tokenizers get wrong: written for this project, each for a reason."""

HARD_TEXTS = [
    "",
    " ",
    "plain words, running on",
    "Café RÉSUMÉ naïve Ångström",  # composed accents
    "Cafe\u0301 nai\u0308ve A\u030angstro\u0308m",  # the same, decomposed
    "İstanbul ıssız ISPARTA",  # dotted and dotless i
    "Straße ẞ ﬁ ﬂ ſ",  # sharp s, ligatures, long s
    "ΟΔΟΣ ΣΑΣ Σ Σ. ΑΣ’Α 豈Σ",  # final sigma and not
    "ǅ ǆ Ⅷ ② ½ ² °",  # letters and numbers with a decomposition
    "你好,世界 和mixed文字",  # ideographs stand alone
    "カタカナ か\u3099き ガ",  # kana do not; voiced mark apart and together
    "한국어 ภาษาไทย हिन्दी",
    "العربية \u064b עברית",  # right to left, a vowel sign alone
    "a\u202eb\u202cc \u200fx\u200ey",  # bidirectional marks
    "🙂👍🏽 👩\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 🫠",  # modifiers, joiners, variation selectors, a new one
    "zero\u200bwidth soft\u00adhyphen word\u2060joiner \ufeffmark",
    "no\u00a0break ideographic\u3000space line\u2028para\u2029next\u0085end",
    "tab\tnewline\ncarriage\rreturn",
    "a\x00b c\x07d e\x1bf g\x7fh i\x1cj",  # control characters
    "bad \ufffd byte",
    "private \ue000 use \uf8ff",
    "[SEP] [CLS] x[MASK]y [UNK] [PAD] [sep]",  # typed by users: text
    "<pad> <unk> <s> x<pad>y </s>",
    "``quoted'' \"double\" 'single' ‘curly’ “curly”",
    "e-mail: a.b+c@d.co/e?f=g&h#i $9.99 £5 €7 100%",
    "it was 2010, not 2011, and 1,000,000 came 3,",  # Google's ALBERT cuts a comma off a number
    "C++ C# .NET f(x)=x^2 ~/_tmp\\n <b>&amp;</b>",
    "-- --- … — – − ·",
    "##run ##ning ▁run ▁",  # marks of word pieces, typed
    "Ａ ｂ ｃ１ 𝓗𝓮𝓵𝓵𝓸",  # full width, mathematical
    "y" * 199,
    "y" * 200,
    "y" * 201,  # Google gives up on words above 200 characters
    "z" + "\u0301" * 50,  # one letter under fifty accents
]

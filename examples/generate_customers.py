#!/usr/bin/env python3
"""Writes the example files, the same bytes on every machine and every Python from 3.8 on.

    python3 examples/generate_customers.py                      all files of this folder
    python3 examples/generate_customers.py --check              compare them with what is there
    python3 examples/generate_customers.py --rows N --out FILE  a customers' file of another size

Numbers come from SplitMix64 with a fixed seed, not from the random module, whose choices may
change between Python versions. The people are invented; mail addresses end in the domains that
RFC 2606 keeps free for examples.
"""

import argparse
import csv
import io
import json
import sys
import unicodedata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROWS = 10_000
HEADER = ["external_id", "label", "metadata", "chains"]


class SplitMix64:
    """Sebastiano Vigna's generator; public domain, five lines, the same everywhere."""

    MASK = (1 << 64) - 1

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & self.MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & self.MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & self.MASK
        return z ^ (z >> 31)

    def below(self, limit):
        return self.next() % limit

    def choose(self, options):
        return options[self.below(len(options))]


# Script: countries, given names, family names, how a name is put together.
NAMES = {
    "latin": (
        ["DE", "FR", "ES", "PL", "SE", "CZ", "TR", "BR", "PT", "IE", "NG", "VN"],
        ["Jürgen", "Zoë", "François", "Łukasz", "Siân", "Göran", "Begoña", "Aurélie", "Tomáš", "Şebnem",
         "João", "Ingrid", "Nguyễn Thị", "Chukwuemeka", "Māra", "Øyvind", "Mary-Jane", "Ada"],
        ["Müller", "Brontë", "Lefèvre", "Wiśniewska", "O'Brien", "Åkesson", "Ibáñez", "D'Angelo", "Dvořák",
         "Yılmaz", "Gonçalves", "van der Berg", "Trần", "Okonkwo", "Bērziņš", "Sørensen", "Smith-Jones", "Lovelace"],
        "{given} {family}",
    ),
    "chinese": (
        ["CN", "TW", "SG", "HK"],
        ["伟", "芳", "秀英", "敏", "静", "建国", "雨桐", "子轩", "欣怡", "浩然", "志強", "淑芬"],
        ["王", "李", "张", "刘", "陈", "杨", "黄", "赵", "欧阳", "司馬"],
        "{family}{given}",
    ),
    "arabic": (
        ["AE", "EG", "SA", "MA", "JO"],
        ["محمد", "فاطمة", "أحمد", "عائشة", "يوسف", "مريم", "خالد", "نور"],
        ["العلي", "الحسن", "بن سعيد", "المصري", "حداد", "الفارسي"],
        "{given} {family}",
    ),
    "cyrillic": (
        ["UA", "BG", "RS", "KZ"],
        ["Олена", "Дмитро", "Ярослава", "Ђорђе", "Айгүл", "Кирил", "Наталія", "Љубица"],
        ["Шевченко", "Коваленко", "Ђорђевић", "Нұрланов", "Петров", "Їжакевич"],
        "{given} {family}",
    ),
    "devanagari": (
        ["IN", "NP"],
        ["आरव", "प्रिया", "राहुल", "अनन्या", "सुनीता", "विक्रम"],
        ["शर्मा", "पटेल", "गुप्ता", "सिंह", "थापा"],
        "{given} {family}",
    ),
    "korean": (
        ["KR"],
        ["민준", "서연", "지후", "하은", "도윤", "수아"],
        ["김", "이", "박", "최", "정", "남궁"],
        "{family}{given}",
    ),
    "japanese": (
        ["JP"],
        ["太郎", "さくら", "健一", "ひなた", "美咲", "タケシ"],
        ["佐藤", "鈴木", "高橋", "渡辺", "小野寺"],
        "{family} {given}",
    ),
    "thai": (
        ["TH"],
        ["สมชาย", "กัญญา", "ณัฐ", "พิมพ์ชนก", "อนันต์"],
        ["ศรีสุข", "จันทร์เพ็ญ", "วงศ์ใหญ่", "ทองดี"],
        "{given} {family}",
    ),
    "greek": (
        ["GR", "CY"],
        ["Γιώργος", "Ελένη", "Νίκος", "Μαρία"],
        ["Παπαδόπουλος", "Αγγελή", "Οικονόμου"],
        "{given} {family}",
    ),
    "hebrew": (
        ["IL"],
        ["נועה", "דוד", "תמר", "יוסי"],
        ["כהן", "לוי", "בן־דוד"],
        "{given} {family}",
    ),
}
SCRIPTS = ["latin"] * 8 + ["chinese"] * 4 + ["arabic"] * 2 + ["cyrillic"] * 2 + [
    "devanagari", "korean", "japanese", "thai", "greek", "hebrew"]
COMPANIES = ['Acme "Fast" Payments, Ltd.', "Müller & Söhne GmbH", "株式会社さくら商事", "ТОВ «Добробут»",
             "Banco do Sertão, S.A.", "上海云帆贸易有限公司", 'Café "Zur Post", Inh. Weiß']
MAIL_NAMES = ["ada.lovelace", "j.mueller", "li.wei", "o.shevchenko", "m.garcia", "sato.taro", "n.okonkwo", "z.bronte"]
TAGS = ["", "+wallet", "+kyc2", "+vip.desk", "+shop-7"]
DOMAINS = ["example.com", "example.org", "example.net", "mail.example.com"]
TIERS = ["bronze", "silver", "gold", "platinum"]
CHAINS = ["evm", "evm,tron", "bitcoin", "bitcoin;bitcoin-taproot", "solana", "evm tron solana"]


def external_id(number, dice):
    """Every form carries `number`, so ids are unique by construction."""
    kind = dice.below(20)
    if kind < 8:
        return f"user-{number:06d}"
    if kind < 13:
        return f"{dice.choose(MAIL_NAMES)}{number}{dice.choose(TAGS)}@{dice.choose(DOMAINS)}"
    if kind < 16:
        return f"{dice.next() >> 32:08x}-{number & 0xFFFF:04x}-4{dice.below(4096):03x}-a{dice.below(4096):03x}-{number:012x}"
    if kind < 18:
        return f"{number:07d}{dice.choose('ABCDEFGH')}/{dice.below(90) + 10}"
    if kind < 19:
        return f"{dice.choose(['客户', 'клієнт', 'عميل', 'ลูกค้า', '고객', 'Kundennr. ä'])}-{number}"
    return f"CRM:{dice.choose(['DE', 'CN', 'AE'])}:{number}"


def label(number, dice):
    """A label and a country that goes with it."""
    if number % 97 == 5:
        return dice.choose(COMPANIES), dice.choose(["DE", "CN", "JP", "UA", "BR", "US"])
    countries, given, family, pattern = NAMES[dice.choose(SCRIPTS)]
    name = pattern.format(given=dice.choose(given), family=dice.choose(family))
    if number % 41 == 3:
        name = f'{name} "{dice.choose(given)}"'
    elif number % 29 == 7:
        name = f"{dice.choose(family)}, {dice.choose(given)}"
    elif number % 1250 == 11:
        name = f"{name}\n(c/o {dice.choose(COMPANIES)})"
    return name, dice.choose(countries)


def metadata(number, country, dice):
    if dice.below(6) == 0:
        return None
    fields = {"country": country, "tier": dice.choose(TIERS)}
    if dice.below(4) == 0:
        fields["since"] = f"20{dice.below(16) + 10}-{dice.below(12) + 1:02d}-{dice.below(28) + 1:02d}"
    if dice.below(9) == 0:
        fields["tags"] = ["b2b", dice.choose(["优先", "näher prüfen", "newsletter, \"weekly\""])]
    if dice.below(25) == 0:
        fields["desk"] = {"id": dice.below(40), "open": number % 2 == 0}
    return fields


def customers(rows):
    """The rows as (external id, label, metadata or None, chains)."""
    dice = SplitMix64(20_260_101)
    for number in range(1, rows + 1):
        name = external_id(number, dice)
        text, country = label(number, dice)
        fields = metadata(number, country, dice)
        chains = dice.choose(CHAINS) if dice.below(20) == 0 else ""
        yield unicodedata.normalize("NFC", name), text, fields, chains


def compact(fields):
    return "" if fields is None else json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def csv_bytes(rows):
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for name, text, fields, chains in rows:
        writer.writerow([name, text, compact(fields), chains])
    return out.getvalue().encode()


def objects(rows):
    for name, text, fields, chains in rows:
        row = {"external_id": name, "label": text}
        if fields is not None:
            row["metadata"] = fields
        if chains:
            row["chains"] = chains.replace(";", ",").replace(" ", ",").split(",")
        yield row


def check_rows(rows):
    """What the files promise: valid, unique after NFC and trim, and safe to open in a spreadsheet."""
    seen = set()
    for name, text, _, _ in rows:
        assert name == unicodedata.normalize("NFC", name).strip() and name not in seen, name
        assert name[0] not in "=+-@\t\r" and text[0] not in "=+-@\t\r", (name, text)
        assert len(name.encode()) <= 128 and len(text) <= 200, name
        seen.add(name)


# (raw bytes of the row, what it is, what Coffer is to say of it). Raw, because half of them no CSV writer would write.
BAD = [
    (b'good-1,An ordinary row,"{""tier"":""gold""}",', "nothing wrong", "created"),
    (b",No external id,,", "empty `external_id`", "failed"),
    (b'"   ",Only spaces,,', "`external_id` is empty after trim", "failed"),
    (b"dup-1,The first of three,,", "nothing wrong", "created"),
    (b"dup-1,The same again,,", "same id as row 4", "failed"),
    (b'"  dup-1 ",The same with spaces,,', "same id as row 4 after trim", "failed"),
    ("caf\u00e9-1,Composed,,".encode(), "nothing wrong", "created"),
    ("cafe\u0301-1,Decomposed,,".encode(), "same id as row 7 after NFC", "failed"),
    (b"i" * 300 + b",Long id,,", "`external_id` of 300 bytes", "failed"),
    (b"nul-\x00-10,NUL inside,,", "a NUL in `external_id`", "failed"),
    (b"bell-\x07-11,Control character inside,,", "a control character in `external_id`", "failed"),
    ("rtl-\u202e-12,Turned around,,".encode(), "a bidirectional override in `external_id`", "failed"),
    (b"latin1-13,M\xfcller,,", "a label in ISO 8859-1: not UTF-8", "failed"),
    (b"surrogate-14,\xed\xa0\x80,,", "a lone surrogate: not UTF-8", "failed"),
    (b"meta-15,Metadata is no JSON,{tier:gold},", "`metadata` is not JSON", "failed"),
    (b'meta-16,Metadata is a list,"[1,2]",', "`metadata` is not an object", "failed"),
    (b'meta-17,A key twice,"{""a"":1,""a"":2}",', "a key twice in `metadata`", "failed"),
    (b'meta-18,Trailing comma,"{""a"":1,}",', "`metadata` is not JSON", "failed"),
    (b'meta-19,Deep,"' + b'{""a"":' * 200 + b"1" + b"}" * 200 + b'",', "`metadata` 200 levels deep", "failed"),
    (b'meta-20,Large,"{""a"":""' + b"x" * 70_000 + b'""}",', "`metadata` of 70 kB", "failed"),
    (b"chain-21,Unknown chain,,dogecoin", "an unknown chain", "failed"),
    (b'chain-22,One of two unknown,,"evm,doge"', "an unknown chain beside a known one", "failed"),
    (b"label-23," + b"l" * 10_000 + b",,", "`label` of 10,000 bytes", "failed"),
    (b"short-24,Two fields only", "too few fields", "failed"),
    (b"long-25,Five fields,,,surplus", "too many fields", "failed"),
    (b"good-26,\"Quotes \"\"inside\"\", a comma,\nand a second line\",,evm", "nothing wrong", "created"),
    (b"'; DROP TABLE wallets;--,Text like any other,,", "looks like SQL, and is text", "created"),
    (b"{{7*7}},<script>alert(1)</script>,,", "looks like a template and like HTML, and is text", "created"),
    (b"../../etc/passwd,A path is text too,,", "looks like a path, and is text", "created"),
    (b"good-30,The last row,,bitcoin-taproot", "nothing wrong", "created"),
]


def bad_bytes():
    return b"external_id,label,metadata,chains\n" + b"".join(raw + b"\n" for raw, _, _ in BAD)


def bad_table():
    lines = ["| row | what is wrong with it | status |", "|---|---|---|"]
    lines += [f"| {number} | {what} | {status} |" for number, (_, what, status) in enumerate(BAD, 1)]
    return "\n".join(lines)


def readme_bytes(present):
    """The README with its table of bad rows brought up to date."""
    start, end = "<!-- bad rows: written by generate_customers.py -->\n", "<!-- end of bad rows -->"
    before, rest = present.split(start)
    return f"{before}{start}{bad_table()}\n{end}{rest.split(end)[1]}".encode()


def all_files():
    rows = list(customers(ROWS))
    check_rows(rows)
    sample = [row for row in rows if "\n" not in row[1]][:18] + [row for row in rows if row[3]][:2]
    lines = [json.dumps(row, ensure_ascii=False) for row in objects(sample)]
    return {
        "customers.csv": csv_bytes(rows),
        "customers.ndjson": ("\n".join(lines) + "\n").encode(),
        "customers.json": ("[\n  " + ",\n  ".join(lines) + "\n]\n").encode(),
        "customers-bad.csv": bad_bytes(),
        "README.md": readme_bytes((HERE / "README.md").read_text(encoding="utf-8")),
    }


def main():
    parser = argparse.ArgumentParser(description="Writes the example files.")
    parser.add_argument("--check", action="store_true", help="compare with the files that are there")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the file named by --out")
    parser.add_argument("--out", type=Path, help="write only a customers' file, here")
    options = parser.parse_args()
    if options.out:
        options.out.write_bytes(csv_bytes(customers(options.rows)))
        return 0
    stale = []
    for name, content in all_files().items():
        path = HERE / name
        if not options.check:
            path.write_bytes(content)
        elif not path.exists() or path.read_bytes() != content:
            stale.append(name)
    if stale:
        print(f"not what generate_customers.py writes: {', '.join(stale)}; run it without --check", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

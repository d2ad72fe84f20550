package ldirectord

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Sets of characters that ldirectord looks for the first run of.
const (
	digits    = "0123456789"
	small     = "abcdefghijklmnopqrstuvwxyz"
	wordChars = digits + small + "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
)

// run returns the first run of such characters.
func run(s, chars string) string {
	i := strings.IndexAny(s, chars)
	if i < 0 {
		return ""
	}
	s = s[i:]
	return s[:len(s)-len(strings.TrimLeft(s, chars))]
}

// unquote takes what is certainly not meant as a part of a value: the comment
// behind it, blanks, a carriage return, quotes of any kind.
func unquote(s string) string {
	s = strings.Trim(s, blanks)
	for _, pair := range []string{`""`, `''`, "“”", "““", "””", "„“", "‘’"} {
		q := []rune(pair)
		body, ok := strings.CutPrefix(s, string(q[0]))
		if !ok {
			continue
		}
		if i := strings.Index(body, string(q[1])); i >= 0 && onlyComment(body[i+len(string(q[1])):]) {
			return body[:i]
		}
	}
	for _, q := range []string{`"`, "“", "”"} { // mixed kinds
		if body, ok := strings.CutPrefix(s, q); ok {
			if i := strings.IndexAny(body, `"“”`); i >= 0 {
				return body[:i]
			}
		}
	}
	return strings.Trim(uncomment(s), blanks)
}

func onlyComment(s string) bool {
	s = strings.Trim(s, blanks)
	return s == "" || s[0] == '#'
}

// uncomment cuts a comment that is set off by a blank.
func uncomment(s string) string {
	for i := range len(s) {
		if s[i] == '#' && (i == 0 || strings.IndexByte(blanks, s[i-1]) >= 0) {
			return s[:i]
		}
	}
	return s
}

func lower(s string) string { return strings.ToLower(s) }

// yesNo reads a word that ldirectord compares with the whole rest of the line.
func yesNo(value, _ string, _ where) reading {
	if value == "yes" || value == "no" {
		return reading{text: value}
	}
	r := reading{refused: fmt.Sprintf("%q is not yes or no: whatever stands behind the word, be it a blank, belongs to it", shorten(value))}
	switch lower(unquote(value)) {
	case "yes", "y", "true", "on", "1":
		r.text = "yes"
	case "no", "n", "false", "off", "0":
		r.text = "no"
	default:
		r.bad = true
	}
	return r
}

// seconds are the endings of a number that change nothing.
var seconds = regexp.MustCompile(`^\d+ ?(s|sec|secs|second|seconds)?$`)

// number reads the first run of digits, wherever it is.
func number(least int64) func(value, full string, in where) reading {
	return func(value, full string, in where) reading {
		text := run(value, digits)
		if text == "" {
			return reading{bad: true, refused: fmt.Sprintf("there is no number in %q", shorten(value))}
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			n = 1<<62 - 1
		}
		r := reading{text: strconv.FormatInt(n, 10), num: n}
		switch {
		case text == "0" && least > 0:
			return reading{bad: true, refused: fmt.Sprintf("%s means nothing", text)}
		case n < least: // 00 is no 0 for ldirectord when it looks whether there is something
			return reading{bad: true, misread: fmt.Sprintf("%s means nothing, though ldirectord accepts it so; it was left out", text)}
		}
		if plain := unquote(value); !seconds.MatchString(plain) {
			r.misread = fmt.Sprintf("ldirectord reads %q as %d, its first digits; so does the output", shorten(plain), n)
		}
		return r
	}
}

// timeout reads a number as a limit, of which the global ones are judged more
// strictly.
func timeout(value, full string, in where) reading {
	r := number(1)(value, full, in)
	if r.bad && r.refused == "" && in == global {
		r.refused = "0 means nothing"
	}
	return r
}

// leadingNumber reads digits at the start.
func leadingNumber(value, full string, in where) reading {
	r := number(0)(value, full, in)
	if !r.bad && !strings.Contains(digits, value[:1]) {
		r.refused, r.misread = fmt.Sprintf("%q doesn't begin with a digit", shorten(value)), ""
	}
	return r
}

// portNumber reads a port, which is a number.
func portNumber(value, full string, in where) reading {
	r := number(1)(value, full, in)
	if r.bad || r.num > 65535 {
		return reading{bad: true, refused: fmt.Sprintf("%q is not a port from 1 to 65535", shorten(value))}
	}
	return r
}

var inQuotes = regexp.MustCompile(`^"(.*)"`)

// quoted reads what stands between the first and the last quote of the line.
func quoted(empty bool) func(value, full string, in where) reading {
	return func(value, full string, in where) reading {
		m := inQuotes.FindStringSubmatch(value)
		meant := unquote(full)
		switch {
		case m != nil && (m[1] != "" || empty):
			r := reading{text: m[1]}
			if in == section && strings.Contains(full, "#") && strings.HasPrefix(full, `"`) && meant != m[1] && strings.Contains(meant, "#") {
				r.text, r.misread = meant, "ldirectord cuts the line at the #, also in quotes; the output has all of it"
			}
			return r
		case m != nil || meant == "":
			return reading{bad: true, refused: "it is empty"}
		case strings.Contains(full, "#") && in == section && strings.Contains(meant, "#"):
			return reading{text: meant, refused: "ldirectord cuts the line at the #, also in quotes, so that a quote is missing"}
		}
		return reading{text: meant, refused: `it must stand in double quotes ("…")`}
	}
}

// command reads what may stand in quotes or not.
func command(value, full string, in where) reading {
	r := reading{text: value}
	if m := inQuotes.FindStringSubmatch(value); m != nil && in == section {
		r.text = m[1]
	}
	meant := unquote(full)
	switch {
	case strings.TrimSpace(r.text+meant) == "" && r.text != "":
		return reading{bad: true, misread: "there is nothing in it but blanks; it was left out"}
	case r.text == "":
		return reading{bad: true, refused: "it is empty"}
	case in == section && strings.Contains(meant, "#") && meant != r.text:
		r.text, r.misread = meant, "ldirectord cuts the line at the #, also in quotes; the output has all of it"
	case meant != "":
		r.text = meant
	}
	return r
}

// load was once the name of something in an answer; nothing reads it.
func load(value, full string, in where) reading {
	r := quoted(false)(value, full, in)
	if m := inQuotes.FindStringSubmatch(value); m != nil && run(m[1], wordChars) == "" {
		return reading{bad: true, refused: "there is no word in it"}
	}
	return r
}

// rest reads the rest of the line as it is.
func rest(value, _ string, _ where) reading { return reading{text: value} }

func bare(value, _ string, _ where) reading { return reading{text: value} }

func notEmpty(value, _ string, _ where) reading {
	if value == "" {
		return reading{bad: true, refused: "it is empty"}
	}
	return reading{text: unquote(value)}
}

// gone is a directive that ldirectord knows only to refuse it.
func gone(successor string) func(value, full string, in where) reading {
	return func(string, string, where) reading {
		return reading{bad: true, refused: "it was replaced by " + successor}
	}
}

func firstWord(value, _ string, _ where) reading {
	words := strings.Fields(value)
	if len(words) == 0 {
		return reading{bad: true, refused: "it is empty"}
	}
	return reading{text: strings.Trim(words[0], `"'`)}
}

// letters reads a scheduler: the first run of small letters.
func letters(value, _ string, _ where) reading {
	text, meant := run(value, small), unquote(value)
	r := reading{text: text}
	switch {
	case text == "" && run(lower(meant), small) == lower(meant) && meant != "":
		r.text, r.refused = lower(meant), fmt.Sprintf("%q must be written in small letters", meant)
	case text == "":
		r.bad, r.refused = true, fmt.Sprintf("%q is no scheduler", shorten(meant))
	case text != meant && (meant == "sh-port" || meant == "sh-fallback" || meant == "mh-port" || meant == "mh-fallback"):
		r.misread = fmt.Sprintf("ldirectord reads %q as %q, its first letters; so does the output. The flag is written scheduler_flags = [%q]", meant, text, meant)
	case text != lower(meant) && run(lower(meant), small) == lower(meant):
		r.text = lower(meant)
		r.misread = fmt.Sprintf("ldirectord reads %q as %q, its first small letters; the output has %q", meant, text, r.text)
	case text != meant:
		r.misread = fmt.Sprintf("ldirectord reads %q as %q, its first small letters; so does the output", shorten(meant), text)
	}
	return r
}

func method(value, _ string, _ where) reading {
	r := oneOf(strings.ToUpper(value), []string{"GET", "HEAD"}, wordChars)
	if r.refused != "" && !r.bad || r.misread != "" {
		r.refused, r.misread = "", ""
	}
	return r
}

// virtualHost reads a name with or without quotes.
func virtualHost(value, _ string, _ where) reading {
	text := strings.TrimPrefix(value, `"`)
	text, _, _ = strings.Cut(text, `"`)
	r := reading{text: strings.Trim(text, blanks)}
	if r.text != text {
		r.misread = "ldirectord sends the blanks around it as well; the output has none"
	}
	return r
}

// checkType reads one of the types, or a number, of which any digit makes one.
func checkType(value, full string, in where) reading {
	if n := run(value, digits); n != "" {
		r := number(0)(n, n, in)
		if plain := unquote(value); plain != n {
			r.misread = fmt.Sprintf("ldirectord reads %q as the number %s because of the digit: connects with a negotiate in between. So does the output", shorten(plain), r.text)
		}
		return r
	}
	return oneOf(value, []string{"connect", "negotiate", "ping", "off", "on", "external", "external-perl"}, wordChars+"-")
}

var (
	dottedQuad = regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`)
	onlyDigits = regexp.MustCompile(`^\d+$`)
)

// netmask reads the mask of persistence: four numbers, or for IPv6 a length.
func netmask(value string, v6 bool) reading {
	strict, meant := value, unquote(value)
	form, say := dottedQuad, "four numbers such as 255.255.255.0"
	if v6 {
		form, say = onlyDigits, "the length of a prefix from 1 to 128"
	}
	good := func(s string) bool {
		n, _ := strconv.Atoi(s)
		return form.MatchString(s) && (!v6 || n >= 1 && n <= 128)
	}
	switch {
	case good(strict):
		return reading{text: strict}
	case good(meant):
		return reading{text: meant, refused: fmt.Sprintf("nothing may stand behind it, be it a blank: %q", shorten(value))}
	}
	return reading{bad: true, refused: fmt.Sprintf("%q is not %s", shorten(meant), say)}
}

// mail reads addresses, in quotes or not.
func mail(value, _ string, _ where) reading {
	r := reading{text: unquote(value)}
	if value == "" || value == `""` {
		r.bad, r.refused = true, "it is empty"
	}
	return r
}

var mailStateNames = []string{"all", "none", "starting", "running", "stopping", "reloading"}

// mailStates reads a list of states.
func mailStates(value, _ string, _ where) reading {
	r := reading{text: unquote(value)}
	list := splitStates(value)
	none := false
	for _, s := range list {
		none = none || s == "none"
	}
	for _, s := range list {
		known := false
		for _, name := range mailStateNames {
			known = known || s == name
		}
		switch {
		case !known:
			r.bad, r.refused = true, fmt.Sprintf("%q is none of %s", shorten(s), mailStateNames)
		case none && s != "none":
			r.bad, r.refused = true, "none and another state exclude each other"
		}
	}
	return r
}

var stateComma = regexp.MustCompile(`[\s\v]*,[\s\v]*`)

// splitStates splits as Perl does: empty elements at the end don't count.
func splitStates(value string) []string {
	list := stateComma.Split(value, -1)
	for len(list) > 0 && list[len(list)-1] == "" {
		list = list[:len(list)-1]
	}
	return list
}

var hostStart = regexp.MustCompile(`^[0-9A-Za-z._+-]+`)

func mailServer(value, _ string, _ where) reading {
	meant := unquote(value)
	r := reading{text: hostStart.FindString(value)}
	switch {
	case r.text == "" && hostStart.FindString(meant) != "":
		r.text, r.refused = meant, "it must stand without quotes"
	case r.text == "":
		r.bad, r.refused = true, fmt.Sprintf("%q is no host", shorten(meant))
	case r.text != meant:
		r.misread = fmt.Sprintf("ldirectord reads %q as %q", shorten(meant), r.text)
	}
	return r
}

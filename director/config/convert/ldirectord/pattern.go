package ldirectord

import (
	"fmt"
	"regexp"
	"strings"
)

// Constructs of Perl's patterns that RE2 has not, by how they begin.
var groups = []struct{ start, name string }{
	{"(?=", "look-ahead (?=…)"},
	{"(?!", "negative look-ahead (?!…)"},
	{"(?<=", "look-behind (?<=…)"},
	{"(?<!", "negative look-behind (?<!…)"},
	{"(?>", "an atomic group (?>…)"},
	{"(?#", "a comment (?#…)"},
	{"(?|", "a branch reset (?|…)"},
	{"(?(", "a condition (?(…)…)"},
	{"(?R", "recursion (?R)"},
	{"(?&", "recursion (?&…)"},
	{"(?{", "Perl code (?{…})"},
	{"(??{", "Perl code (??{…})"},
	{"(*", "a verb (*…)"},
}

var (
	possessive    = regexp.MustCompile(`^(?:[*+?]|\{\d+(?:,\d*)?\})\+`)
	recursion     = regexp.MustCompile(`^\(\?[+-]?\d`)
	extended      = regexp.MustCompile(`^\(\?[a-z^]*[xlupn^][a-z-]*[:)]`)
	backReference = regexp.MustCompile(`^\\(?:[1-9]|g\{?-?\w|k[{<'])`)
	multiline     = regexp.MustCompile(`\(\?[a-z]*m`)
	escapes       = map[byte]string{'G': `\G`, 'K': `\K`, 'R': `\R`, 'X': `\X`, 'h': `\h`, 'H': `\H`, 'V': `\V`, 'N': `\N`, 'Z': ""}
)

// token returns the length of what stands at the start of a pattern, and what
// Perl calls it if RE2 hasn't got it.
func token(s string) (length int, construct string) {
	if s[0] == '\\' && len(s) > 1 {
		if m := backReference.FindString(s); m != "" {
			return 2, "a back-reference " + m
		}
		return 2, escapes[s[1]]
	}
	for _, g := range groups {
		if strings.HasPrefix(s, g.start) {
			return len(g.start), g.name
		}
	}
	switch {
	case recursion.MatchString(s):
		return 2, "recursion " + recursion.FindString(s) + ")"
	case extended.MatchString(s):
		return 2, "a flag of Perl in " + extended.FindString(s)
	}
	if m := possessive.FindString(s); m != "" {
		return len(m), "a possessive quantifier " + m
	}
	return 1, ""
}

// pattern turns a regular expression of Perl into one of RE2. With text, it is
// for an answer of lines, at whose end the two differ. said is how they do, or,
// without ok, why there is none.
func pattern(perl string, text bool) (re2, said string, ok bool) {
	var b strings.Builder
	class, ends := false, false
	multi := !text || multiline.MatchString(perl)
	for s := perl; s != ""; {
		n, construct := token(s)
		switch {
		case class:
			if n, construct = 1, ""; s[0] == '\\' && len(s) > 1 {
				n = 2
			}
			class = s[0] != ']'
		case s[0] == '[':
			class = true
			if strings.HasPrefix(s, "[]") || strings.HasPrefix(s, "[^]") {
				n = strings.IndexByte(s, ']') + 1
			}
		}
		if construct != "" {
			return "", construct + " isn't in RE2, the kind of pattern that ipvsd uses", false
		}
		switch part := s[:n]; {
		case !class && (part == "$" && !multi || part == `\Z`):
			b.WriteString(`\n?\z`)
			ends = true
		default:
			b.WriteString(part)
		}
		s = s[n:]
	}
	re2 = b.String()
	if _, err := regexp.Compile(re2); err != nil {
		return "", fmt.Sprintf("%s; ipvsd's patterns are RE2's", strings.TrimPrefix(err.Error(), "error parsing regexp: ")), false
	}
	if ends {
		said = `for Perl the end is also in front of a last newline; the output says so with \n?\z`
	}
	return re2, said, true
}

package config

import (
	"fmt"
	"maps"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is a raw value that more than one form of TOML can express. read
// returns what is wrong with it, or "".
type value interface {
	read(key string, v any) string
}

// span is a duration, written as text with its unit.
type span time.Duration

func (s span) duration() time.Duration { return time.Duration(s) }

func (s *span) read(key string, v any) string {
	switch v := v.(type) {
	case int64:
		return fmt.Sprintf("a duration needs a unit: write %s = \"%ds\"", key, v)
	case float64:
		return fmt.Sprintf("a duration needs a unit: write %s = \"%vs\"", key, v)
	case string:
		d, err := time.ParseDuration(v)
		if err != nil {
			return durationProblem(key, v)
		}
		if d < 0 {
			return fmt.Sprintf("%q is negative; a duration is zero or more", v)
		}
		*s = span(d)
		return ""
	}
	return fmt.Sprintf("%s is not a duration; write text such as %s = \"10s\"", show(v), key)
}

// durationProblem guesses what was meant.
func durationProblem(key, v string) string {
	squeezed := strings.ToLower(strings.Join(strings.Fields(v), ""))
	number := strings.TrimRight(squeezed, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseUint(number, 10, 32)
	unit := squeezed[len(number):]
	if err == nil {
		switch {
		case unit == "":
			unit = "s"
		case strings.HasPrefix(unit, "d"):
			n, unit = n*24, "h"
		case strings.HasPrefix(unit, "ms") || strings.HasPrefix(unit, "mil"):
			unit = "ms"
		default:
			unit = unit[:1]
		}
		if strings.Contains("ms s m h", unit) {
			return fmt.Sprintf("%q is not a duration; write %s = \"%d%s\"", v, key, n, unit)
		}
	}
	return fmt.Sprintf("%q is not a duration; write it like \"500ms\", \"10s\" or \"1m30s\"", v)
}

// weight is a number, or a share of the connections such as "30%".
type weight struct {
	n       int64
	percent bool
}

func (w *weight) read(key string, v any) string {
	text, ok := v.(string)
	if digits, percent := strings.CutSuffix(strings.TrimSpace(text), "%"); ok && percent {
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > 100 {
			return fmt.Sprintf("%q is not a share of the connections; write a whole number from 0 to 100, such as %s = \"30%%\"", text, key)
		}
		w.n, w.percent = n, true
		return ""
	}
	return assign(&w.n, v, wantNumber(key, v))
}

// list is a list of words.
type list []string

func (l *list) read(key string, v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("a list is needed: write %s = [%q]", key, v)
	case []any:
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return fmt.Sprintf("%s in the list is not text; write every element in quotes", show(e))
			}
			*l = append(*l, s)
		}
		return ""
	}
	return fmt.Sprintf("%s is not a list; write %s = [\"…\", \"…\"]", show(v), key)
}

// command is a program, or a list of it and its arguments.
type command []string

func (c *command) read(key string, v any) string {
	if s, ok := v.(string); ok {
		*c = command{s}
	} else if p := (*list)(c).read(key, v); p != "" {
		return fmt.Sprintf("%s; or one program: %s = \"/path/of/it\"", p, key)
	}
	for _, a := range *c {
		if strings.ContainsRune(a, 0) {
			return "no argument of a program can hold a NUL character; take it out"
		}
	}
	return ""
}

// status is a set of HTTP status codes: 200, "200-299,304" or [200, "300-399"].
// It is kept in the second form; the checker judges the codes.
type status string

func (s *status) read(key string, v any) string {
	var parts []string
	elements, ok := v.([]any)
	if !ok {
		elements = []any{v}
	}
	for _, e := range elements {
		switch e := e.(type) {
		case int64:
			parts = append(parts, strconv.FormatInt(e, 10))
		case string:
			parts = append(parts, strings.ReplaceAll(e, " ", ""))
		default:
			return fmt.Sprintf("%s is not a status code; write %s = 200, \"200-299,304\" or [200, 304]", show(e), key)
		}
	}
	joined := strings.Join(parts, ",")
	if joined == "" {
		return fmt.Sprintf("no status code would ever be accepted; write %s = \"200-299\" or leave it out", key)
	}
	*s = status(joined)
	return ""
}

// headers are HTTP header lines, by name.
type headers string

func (h *headers) read(key string, v any) string {
	table, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("%s is not a table; write %s = { X-Probe = \"ipvsd\" }", show(v), key)
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(table)) {
		text, ok := table[name].(string)
		switch {
		case !ok:
			return fmt.Sprintf("%s: %s is not text; write the header's value in quotes", name, show(table[name]))
		case name == "" || strings.ContainsFunc(name, notToken):
			return fmt.Sprintf("%q is not the name of a header; letters, digits and hyphens are", name)
		case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			return fmt.Sprintf("%s: a header's value is one line without control characters", name)
		}
		lines = append(lines, name+": "+strings.TrimSpace(text))
	}
	*h = headers(strings.Join(lines, "\n"))
	return ""
}

// notToken tells the characters that RFC 9110 doesn't allow in a header's name.
func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// scalar is a value that a field of JSON can have, as text.
type scalar string

func (s *scalar) read(key string, v any) string {
	switch v := v.(type) {
	case string:
		*s = scalar(v)
	case bool, int64, float64:
		*s = scalar(fmt.Sprint(v))
	default:
		return fmt.Sprintf("%s is no value to compare with; write text, a number or true or false, such as %s = \"ok\"", show(v), key)
	}
	return ""
}

// netmask is the length of a prefix: 24, or "255.255.255.0" for IPv4.
type netmask struct {
	length int64
	quad   bool // written as four numbers
}

func (n *netmask) read(key string, v any) string {
	switch v := v.(type) {
	case int64:
		n.length = v
		return ""
	case string:
		if l, err := strconv.ParseInt(strings.TrimPrefix(v, "/"), 10, 32); err == nil {
			return fmt.Sprintf("%q is text; write %s = %d, without quotes", v, key, l)
		}
		a, err := netip.ParseAddr(v)
		if err != nil || !a.Is4() {
			return fmt.Sprintf("%q is not a netmask; write %s = 24 or \"255.255.255.0\"", v, key)
		}
		b := a.As4()
		mask := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		ones := bits.LeadingZeros32(^mask)
		if mask<<ones != 0 {
			return fmt.Sprintf("%q is not a netmask: its ones must come before its zeros; write %s = 24 or \"255.255.255.0\"", v, key)
		}
		n.length, n.quad = int64(ones), true
		return ""
	}
	return fmt.Sprintf("%s is not a netmask; write %s = 24 or \"255.255.255.0\"", show(v), key)
}

// show prints a value of TOML for a message.
func show(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "a list"
	}
	return fmt.Sprint(v)
}

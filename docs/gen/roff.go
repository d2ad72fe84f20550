package gen

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/ipvsd/ipvsd/director/config"
)

// roff makes a text fit for a page of man(7). Every hyphen becomes a minus, so
// that what is copied from the page works.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// macro is a text as an argument of a macro.
func macro(s string) string { return `"` + strings.ReplaceAll(roff(s), `"`, `\(dq`) + `"` }

// paragraphs writes a text as cobra's Long has it: paragraphs between blank
// lines, and lines that are kept as they are where they are indented.
func paragraphs(b *strings.Builder, text string) {
	kept := false
	keep := func(on bool) {
		switch {
		case on && !kept:
			b.WriteString(".RS 4\n.nf\n")
		case !on && kept:
			b.WriteString(".fi\n.RE\n")
		}
		kept = on
	}
	for line := range strings.Lines(strings.Trim(text, "\n") + "\n") {
		line = strings.TrimRight(line, "\n")
		inner, indented := strings.CutPrefix(line, "  ")
		switch {
		case indented:
			keep(true)
			fmt.Fprintf(b, "%s\n", roff(inner))
		case line == "" && kept:
			keep(false)
			b.WriteString(".PP\n")
		case line == "":
			b.WriteString(".PP\n")
		default:
			keep(false)
			fmt.Fprintf(b, "%s\n", roff(line))
		}
	}
	keep(false)
}

// ConfigurationMan returns the tables and keys of the file, for ipvsd.toml(5).
func ConfigurationMan(reference string, keys []config.Key) (string, error) {
	tables, err := readReference(reference, keys)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, t := range tables {
		fmt.Fprintf(&b, ".SS %s\n", macro(t.header()))
		for i, p := range t.intro {
			if i > 0 {
				b.WriteString(".PP\n")
			}
			fmt.Fprintf(&b, "%s\n", roff(p))
		}
		for _, e := range t.keys {
			for _, p := range e.head {
				fmt.Fprintf(&b, ".PP\n%s\n", roff(p))
			}
			std := ""
			switch {
			case e.needed != "":
				std = "; " + e.needed
			case e.std != "":
				std = "; default: " + e.std
			}
			fmt.Fprintf(&b, ".TP\n\\fB%s\\fR (%s%s)\n", roff(e.name), roff(e.kindMan()), roff(std))
			if text := strings.TrimSuffix(e.text, "."); text != "" {
				fmt.Fprintf(&b, "%s.\n", roff(text))
			}
			if ex := e.example(); ex != "" {
				fmt.Fprintf(&b, ".br\nExample: \\fB%s\\fR\n", roff(ex))
			}
		}
	}
	return b.String(), nil
}

func (e *entry) kindMan() string {
	var list []string
	for _, k := range e.inside {
		list = append(list, k.Name+": "+k.Type)
	}
	return cmp.Or(strings.Join(list, ", "), e.typ)
}

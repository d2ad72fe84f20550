package gen

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/ipvsd/ipvsd/director/config"
)

// Configuration returns the tables and keys of the file, for
// docs/configuration.md.
func Configuration(reference string, keys []config.Key) (string, error) {
	tables, err := readReference(reference, keys)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, t := range tables {
		fmt.Fprintf(&b, "## `%s`\n\n", t.header())
		for _, p := range t.intro {
			fmt.Fprintf(&b, "%s\n\n", markdown(p))
		}
		for i, e := range t.keys {
			for _, p := range e.head {
				fmt.Fprintf(&b, "\n%s\n\n", markdown(p))
			}
			if i == 0 || len(e.head) > 0 {
				b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
			}
			fmt.Fprintf(&b, "| <a id=\"%s.%s\"></a>`%s` | %s | %s | %s |\n", t.path, e.name, e.name, cell(e.kind()), cell(e.deflt()), cell(e.meaning()))
		}
		b.WriteString("\n")
	}
	return strings.ReplaceAll(b.String(), "\n\n\n", "\n\n"), nil
}

// kind is the type in Markdown; of an inline table what is in it.
func (e *entry) kind() string {
	if len(e.inside) == 0 {
		return markdown(e.typ)
	}
	var list []string
	for _, k := range e.inside {
		list = append(list, fmt.Sprintf("`%s` (%s)", k.Name, k.Type))
	}
	return "table: " + strings.Join(list, ", ")
}

func (e *entry) deflt() string {
	switch {
	case e.needed != "":
		return markdown(e.needed)
	case e.isValue:
		return "`" + e.std + "`"
	}
	return markdown(cmp.Or(e.std, "–"))
}

func (e *entry) meaning() string {
	text := markdown(e.text)
	if ex := e.example(); ex != "" {
		text = strings.TrimSuffix(text, ".") + ". Example: `" + ex + "`"
	}
	return strings.TrimPrefix(text, ". ")
}

// cell keeps a text in its cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

var (
	aPage = regexp.MustCompile(`\bdocs/([a-z0-9-]+\.md)\b`)
	aWord = regexp.MustCompile(`\[[^\]]*"[^\]]*\]|(?:[a-z_]+ = )?"[^"]*"|\[\[?[a-z.]+\]\]?|\b[a-z0-9]+(?:_[a-z0-9]+)+\b`)
)

// markdown marks what is code in a comment: values, tables, keys; and makes
// links of the names of pages.
func markdown(s string) string {
	s = aWord.ReplaceAllStringFunc(s, func(w string) string {
		if command, ok := strings.CutPrefix(w, `"ipvsd `); ok {
			w = "ipvsd " + strings.TrimSuffix(command, `"`)
		}
		return "`" + w + "`"
	})
	return aPage.ReplaceAllString(s, "[$1]($1)")
}

package gen

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestLinks checks every page of the tree.
func TestLinks(t *testing.T) {
	list, pages := broken(t, os.DirFS("../.."))
	if pages < 10 {
		t.Errorf("only %d pages found", pages)
	}
	for _, problem := range list {
		t.Error(problem)
	}
}

// TestLinksAreSeen gives the checker each mistake once.
func TestLinksAreSeen(t *testing.T) {
	got, _ := broken(t, fstest.MapFS{
		"README.md": {Data: []byte("# A\n[ok](docs/README.md#two-words) [self](#a) ![p](docs/p.png)\n" +
			"[gone](docs/gone.md) [anchor](docs/README.md#three)\n[one\nin two lines](docs/two.md) `[code](no.md)`\n")},
		"docs/README.md": {Data: []byte("## Two `words`!\n<a id=\"x.y\"></a>\n[x](#x.y) [b](#two-words-1) [up](../../out.md)\n## Two words\n" +
			"```\n[in a block](no.md)\n```\n[w](http://nodot/) [f](ftp://example.org/) [ok](https://example.org/a?b) ![](q.png)\n[dir](../docs)\n")},
		"docs/p.png":    {Data: []byte("x")},
		"docs/alone.md": {Data: []byte("[there and back](README.md), from registry.example.com\n")},
	})
	want := []string{
		"README.md:3: docs/gone.md: not there",
		"README.md:3: docs/README.md#three: no such heading or anchor",
		"README.md:5: docs/two.md: not there",
		"docs/README.md:3: ../../out.md: not there",
		"docs/README.md:8: http://nodot/: not an address of the web",
		"docs/README.md:8: ftp://example.org/: not an address of the web",
		"docs/README.md:8: q.png: not there",
		"docs/alone.md:1: names the host of a registry: registry.example.com",
		"docs/alone.md: no way leads here from README.md or docs/README.md",
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

var (
	aLink = regexp.MustCompile(`(?s)\[[^\[\]]*\]\(([^()\s]+)\)|(?:href|src)="([^"]+)"|<(https?://[^>]*)>`)
	aCode = regexp.MustCompile("`[^`\n]*`")
	aHead = regexp.MustCompile(`^#{1,6} (.*)$`)
	anID  = regexp.MustCompile(`<a id="([^"]+)">`)
	// registryHost is what a host of packages is called; nobody should need one by
	// its name.
	registryHost = regexp.MustCompile(`\b(?:registry|proxy|sum|index|deb|archive|security|packages|repo|mirrors?|npm|pypi|ghcr|quay|docker)\.[a-z0-9-]+\.?(?:com|org|net|io|dev)\b`)
)

// page is one page as the checker sees it.
type page struct {
	anchors map[string]bool
	links   []link
}

type link struct {
	line int
	to   string
}

// broken returns what is wrong with the links of all pages of a tree, and how
// many pages there are.
func broken(t *testing.T, tree fs.FS) (list []string, _ int) {
	t.Helper()
	pages := make(map[string]*page)
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "dist", "node_modules", "testdata"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".md" {
			return nil
		}
		data, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(data), "\n") {
			if host := registryHost.FindString(line); host != "" {
				list = append(list, fmt.Sprintf("%s:%d: names the host of a registry: %s", name, i+1, host))
			}
		}
		pages[name] = readPage(string(data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	reached := map[string]bool{"README.md": true, "docs/README.md": true}
	for todo := []string{"README.md", "docs/README.md"}; len(todo) > 0; todo = todo[1:] {
		if p := pages[todo[0]]; p != nil {
			for _, l := range p.links {
				to, _, _ := strings.Cut(l.to, "#")
				if to = path.Join(path.Dir(todo[0]), to); pages[to] != nil && !reached[to] {
					reached[to] = true
					todo = append(todo, to)
				}
			}
		}
	}
	for name, p := range pages {
		if !reached[name] {
			list = append(list, name+": no way leads here from README.md or docs/README.md")
		}
		for _, l := range p.links {
			if problem := follow(tree, pages, name, l.to); problem != "" {
				list = append(list, fmt.Sprintf("%s:%d: %s: %s", name, l.line, l.to, problem))
			}
		}
	}
	return list, len(pages)
}

// follow says what is wrong with a link, or "".
func follow(tree fs.FS, pages map[string]*page, from, to string) string {
	if scheme, _, ok := strings.Cut(to, ":"); ok && !strings.ContainsAny(scheme, "/#.") {
		u, err := url.Parse(to)
		if err != nil || scheme != "https" && scheme != "http" || !strings.Contains(u.Hostname(), ".") {
			return "not an address of the web"
		}
		return ""
	}
	file, anchor, _ := strings.Cut(to, "#")
	target := from
	if file != "" {
		target = path.Join(path.Dir(from), file)
	}
	if _, err := fs.Stat(tree, target); err != nil {
		return "not there"
	}
	if p := pages[target]; anchor != "" && (p == nil || !p.anchors[anchor]) {
		return "no such heading or anchor"
	}
	return ""
}

// readPage finds the links and anchors of a page, outside of code.
func readPage(text string) *page {
	p := &page{anchors: make(map[string]bool)}
	var prose strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			line = "\n"
		}
		if fenced {
			line = "\n"
		}
		if m := aHead.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			anchor := slug(m[1])
			for i := 1; p.anchors[anchor]; i++ {
				anchor = fmt.Sprintf("%s-%d", slug(m[1]), i)
			}
			p.anchors[anchor] = true
		}
		for _, m := range anID.FindAllStringSubmatch(line, -1) {
			p.anchors[m[1]] = true
		}
		prose.WriteString(aCode.ReplaceAllString(line, "`code`"))
	}
	s := prose.String()
	for _, m := range aLink.FindAllStringSubmatchIndex(s, -1) {
		for i := 2; i < len(m); i += 2 {
			if m[i] >= 0 {
				p.links = append(p.links, link{line: 1 + strings.Count(s[:m[i]], "\n"), to: s[m[i]:m[i+1]]})
			}
		}
	}
	return p
}

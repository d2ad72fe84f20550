package gen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// source is the comments of one package.
type source struct {
	types  map[string]string // by type
	fields map[string]string // by Type.Field
	consts map[string][]values
}

// values are the constants that a field may have. Which type they belong to,
// the comment above them says: "The states of a real server in RealStatus."
type values struct {
	title  string
	values [][2]string
}

var inType = regexp.MustCompile(` in (\w+)\.$`)

// readSource reads a package's files but its tests.
func readSource(dir string) (*source, error) {
	s := &source{types: make(map[string]string), fields: make(map[string]string), consts: make(map[string][]values)}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return s, fmt.Errorf("%s: no source, %v", dir, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return s, err
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.decl(g)
			}
		}
	}
	return s, nil
}

func (s *source) decl(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		s.types[t.Name.Name] = text(t.Doc, g.Doc)
		if st, ok := t.Type.(*ast.StructType); ok {
			s.structure(t.Name.Name, st)
		}
	}
	m := inType.FindStringSubmatch(text(g.Doc))
	if g.Tok != token.CONST || m == nil {
		return
	}
	v := values{title: strings.TrimSuffix(text(g.Doc), m[0])}
	for _, spec := range g.Specs {
		c := spec.(*ast.ValueSpec)
		for _, e := range c.Values {
			if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				word, err := strconv.Unquote(lit.Value)
				if err == nil {
					v.values = append(v.values, [2]string{word, text(c.Comment)})
				}
			}
		}
	}
	s.consts[m[1]] = append(s.consts[m[1]], v)
}

// structure reads the comments of a type's fields. One that has none may be
// spoken of in the last one above it: "Rise and Fall are how many it takes."
func (s *source) structure(name string, st *ast.StructType) {
	above := ""
	for _, f := range st.Fields.List {
		if f.Doc != nil {
			above = text(f.Doc)
		}
		for _, n := range f.Names {
			own := text(f.Doc, f.Comment)
			if own == "" {
				own = clause(above, n.Name)
			}
			s.fields[name+"."+n.Name] = withoutName(n.Name, own)
		}
	}
}

// clause is the part of a comment that begins with a word, or with it and
// another one: "A and B are".
func clause(comment, word string) string {
	for part := range strings.SplitSeq(strings.NewReplacer("; ", "\n", ". ", "\n").Replace(comment), "\n") {
		if regexp.MustCompile(`^(\w+ and )?` + word + `\b`).MatchString(part) {
			return part
		}
	}
	return ""
}

// text joins comments to one line.
func text(groups ...*ast.CommentGroup) string {
	var parts []string
	for _, g := range groups {
		parts = append(parts, strings.Fields(g.Text())...)
	}
	return strings.Join(parts, " ")
}

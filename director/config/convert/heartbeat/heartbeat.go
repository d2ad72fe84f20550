// Package heartbeat imports the three files of Linux-HA's heartbeat, versions 1
// to 3 without a cluster resource manager: ha.cf (who the nodes are and how they
// speak), haresources (which addresses move, and who has them by preference) and
// authkeys. They become [cluster] and [[vip]]; the virtual services are in
// ldirectord's file, which haresources names.
//
// The output is one node's, that which haresources prefers first: what is
// otherwise on the others stands in comments.
package heartbeat

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ipvsd/ipvsd/director/config/convert"
	"github.com/ipvsd/ipvsd/director/config/convert/emit"
)

// kind is which of the three files one is.
type kind int

const (
	haCF kind = iota
	haResources
	authKeys
)

// kindOf tells a file by its name, or by what is in it.
func kindOf(f convert.File) kind {
	switch filepath.Base(f.Name) {
	case "ha.cf":
		return haCF
	case "haresources":
		return haResources
	case "authkeys":
		return authKeys
	}
	for _, l := range lines(f) {
		_, known := directives[l.words[0]]
		switch {
		case l.words[0] == "auth" && len(l.words) == 2:
			return authKeys
		case known:
			return haCF
		case len(l.words) > 1:
			return haResources
		}
	}
	return haCF
}

// line is a line with something in it, cut into words.
type line struct {
	file    string
	number  int
	words   []string // none: only a comment
	above   []string
	comment string
}

// arg returns a word behind the first, or "".
func (l line) arg(i int) string {
	if i+1 < len(l.words) {
		return l.words[i+1]
	}
	return ""
}

// lines cuts a file. A backslash at the end joins a line to the next one.
// Comments go to the line that they stand above; those at the end are dropped
// into a line without words.
func lines(f convert.File) []line {
	var list []line
	var above []string
	text := strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(f.Data), "\uFFFD"))
	var open *line
	for i, raw := range strings.Split(text, "\n") {
		code, comment, is := strings.Cut(raw, "#")
		comment = strings.TrimSpace(strings.TrimLeft(comment, "#"))
		code, more := strings.CutSuffix(strings.TrimSpace(code), `\`)
		l := &line{file: f.Name, number: i + 1}
		if open != nil {
			l = open
		}
		l.words = append(l.words, strings.Fields(code)...)
		switch {
		case len(l.words) == 0 && is && comment != "":
			above = append(above, comment)
		case comment != "":
			l.comment = strings.TrimSpace(l.comment + " " + comment)
		}
		if open = nil; more {
			open = l
			continue
		}
		if len(l.words) > 0 {
			l.above, above = above, nil
			list = append(list, *l)
		}
	}
	if open != nil && len(open.words) > 0 {
		open.above, above = above, nil
		list = append(list, *open)
	}
	if len(above) > 0 && len(list) > 0 {
		last := &list[len(list)-1]
		last.above = append(last.above, above...)
	}
	return list
}

// importer carries one import through.
type importer struct {
	opts  convert.Options
	doc   emit.Document
	notes []convert.Note
	setup setup
	moves []move
}

// Convert imports ha.cf, haresources and authkeys, in any order; none need be
// there.
func Convert(files []convert.File, opts convert.Options) convert.Result {
	im := &importer{opts: opts}
	for _, f := range files {
		switch kindOf(f) {
		case haCF:
			im.config(f)
		case haResources:
			im.resources(f)
		case authKeys:
			im.keys(f)
		}
	}
	im.cluster()
	return convert.Result{Doc: &im.doc, Notes: convert.Sort(im.notes, files)}
}

// lose notes something that isn't in the output.
func (im *importer) lose(l line, format string, args ...any) {
	im.notes = append(im.notes, convert.Note{File: l.file, Line: l.number, Text: fmt.Sprintf(format, args...), Lost: true})
}

// tell notes what is otherwise here, and what nobody will miss.
func (im *importer) tell(l line, format string, args ...any) {
	im.notes = append(im.notes, convert.Note{File: l.file, Line: l.number, Text: fmt.Sprintf(format, args...)})
}

// keys notes that a key is to be made. What authkeys holds was made for sha1 or
// worse, and is never shown.
func (im *importer) keys(f convert.File) {
	for _, l := range lines(f) {
		if l.words[0] != "auth" {
			im.lose(l, "authkeys: heartbeat's key isn't used again; make a new one with \"ipvsd cluster keygen\" and copy it to all directors")
		}
	}
}

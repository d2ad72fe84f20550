package gen

import (
	"reflect"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/config/convert"
)

// TestObjectsUndescribed: a field without a name in JSON or without a comment is
// an error, so that no page leaves one out.
func TestObjectsUndescribed(t *testing.T) {
	_, err := Objects(reflect.TypeFor[convert.Note](), "../..", "github.com/ipvsd/ipvsd")
	if err == nil || !strings.Contains(err.Error(), "Note.File: no name in JSON") {
		t.Error(err)
	}
	s, err := readSource("../../director/config/convert")
	if err != nil {
		t.Fatal(err)
	}
	if s.fields["Note.Line"] != "from 1; 0: the file as a whole" || s.fields["Note.Text"] != "" {
		t.Errorf("comments of Note: %q, %q", s.fields["Note.Line"], s.fields["Note.Text"])
	}
}

// TestClause: one comment may speak of several fields.
func TestClause(t *testing.T) {
	const comment = "Streak is how many were alike; Rise and Fall are how many it takes. State is the same."
	for word, want := range map[string]string{
		"Streak": "Streak is how many were alike", "Rise": "Rise and Fall are how many it takes", "Fall": "Rise and Fall are how many it takes",
		"State": "State is the same.", "Other": "",
	} {
		if got := clause(comment, word); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

// TestSlug: the anchors of headings are GitHub's.
func TestSlug(t *testing.T) {
	for heading, want := range map[string]string{
		"`virtuals[].reals[]`": "virtualsreals", "Who may be active: `quorum`": "who-may-be-active-quorum", "smtp, submission": "smtp-submission",
	} {
		if got := slug(heading); got != want {
			t.Errorf("%q: %q, want %q", heading, got, want)
		}
	}
}

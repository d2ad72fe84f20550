package scenario

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// block is one fenced block of a page that is to be run.
type block struct {
	line   int // of the fence, from 1
	hosts  []string
	exit   int
	again  bool // until the output is as shown
	beside bool // in the background
	text   string
	output []string // the lines shown behind it; nil: it may be anything
	count  int      // what the page says behind it of how many commands that were; 0: nothing
}

// commands counts those of a block as a person types them: a file that is
// written is one.
func (b *block) commands() int {
	n, end := 0, ""
	for line := range strings.Lines(b.text) {
		line = strings.TrimSuffix(line, "\n")
		if end != "" {
			if line == end {
				end = ""
			}
			continue
		}
		n++
		if m := heredoc.FindStringSubmatch(line); m != nil {
			end = m[1]
		}
	}
	return n
}

var (
	heredoc = regexp.MustCompile(`<<'?(\w+)'?$`)
	counted = regexp.MustCompile(`^That was (\d+) commands`)
)

// readPage takes the blocks out of a page: those of the language sh, each with
// the text block right behind it, and those in comments that stand for what a
// person does with his hands.
func readPage(t *testing.T, name string) []*block {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []*block
	lines := strings.Split(string(data), "\n")
	for i := 0; i < len(lines); i++ {
		if m := counted.FindStringSubmatch(lines[i]); m != nil && len(blocks) > 0 {
			blocks[len(blocks)-1].count, _ = strconv.Atoi(m[1])
		}
		end, info := "```", ""
		switch {
		case strings.HasPrefix(lines[i], "```"):
			info = strings.TrimPrefix(lines[i], "```")
		case strings.HasPrefix(lines[i], "<!-- sh "):
			end, info = "-->", strings.TrimPrefix(lines[i], "<!-- ")
		default:
			continue
		}
		at := i + 1
		for i++; i < len(lines) && lines[i] != end; i++ {
		}
		if i == len(lines) {
			t.Fatalf("%s:%d: the block has no end", name, at)
		}
		body := lines[at:i]
		switch info {
		case "text":
			if len(blocks) == 0 || blocks[len(blocks)-1].output != nil {
				t.Fatalf("%s:%d: this output belongs to no command", name, at)
			}
			blocks[len(blocks)-1].output = body
			continue
		}
		b, err := readInfo(info)
		if err != nil {
			t.Fatalf("%s:%d: %v", name, at, err)
		}
		b.line, b.text = at, strings.Join(body, "\n")+"\n"
		blocks = append(blocks, b)
	}
	return blocks
}

// readInfo reads what stands behind the fence.
func readInfo(info string) (*block, error) {
	words := strings.Fields(info)
	if len(words) < 2 || words[0] != "sh" {
		return nil, fmt.Errorf("a block %q is neither sh with its host nor text: nobody tries it", info)
	}
	b := &block{}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		var err error
		switch key {
		case "host":
			b.hosts = strings.Split(value, ",")
		case "exit":
			b.exit, err = strconv.Atoi(value)
		case "again":
			b.again = true
		case "beside":
			b.beside = true
		default:
			err = fmt.Errorf("unknown word %q", w)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(b.hosts) == 0 {
		return nil, fmt.Errorf("no host in %q", info)
	}
	return b, nil
}

// differs says where an output isn't what the page shows, or "". Blanks in a row
// are as one, because columns are as wide as what is in them; … is any text in a
// line, or alone in it any lines.
func differs(shown []string, output string) string {
	var pattern strings.Builder
	pattern.WriteString("^")
	for _, line := range shown {
		if line == "…" {
			pattern.WriteString("(?:.*\n)*?")
			continue
		}
		text := regexp.QuoteMeta(strings.Join(strings.Fields(line), " "))
		pattern.WriteString(strings.ReplaceAll(text, "…", ".*") + "\n")
	}
	var got strings.Builder
	for line := range strings.Lines(output) {
		got.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	if regexp.MustCompile(pattern.String() + "$").MatchString(got.String()) {
		return ""
	}
	return fmt.Sprintf("the page shows\n%s\nand what came is\n%s", strings.Join(shown, "\n"), output)
}

// TestDiffers holds the notation of the page to what it promises.
func TestDiffers(t *testing.T) {
	const output = "NAME   SINCE\nweb1   3s\nweb2  14s\n"
	for _, tt := range []struct {
		shown string
		same  bool
	}{
		{"NAME SINCE\nweb1 3s\nweb2 14s", true},
		{"NAME SINCE\nweb1 …s\nweb2   …", true},
		{"NAME SINCE\n…", true},
		{"…\nweb2 14s", true},
		{"…", true},
		{"NAME SINCE\nweb1 3s", false},
		{"NAME SINCE\nweb1 …\nweb3 …", false},
		{"NAME SINCE\nweb1 …", false},
		{"web1 3s\n…", false},
		{"", false},
	} {
		if got := differs(strings.Split(tt.shown, "\n"), output); (got == "") != tt.same {
			t.Errorf("shown %q: %s", tt.shown, got)
		}
	}
}

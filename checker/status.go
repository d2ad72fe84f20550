package checker

import (
	"fmt"
	"strconv"
	"strings"
)

// statusSet is a set of HTTP status codes, such as "200-299,304".
type statusSet []statusRange

type statusRange struct{ from, to int }

func (s statusSet) has(code int) bool {
	for _, r := range s {
		if r.from <= code && code <= r.to {
			return true
		}
	}
	return false
}

func parseStatus(text string) (statusSet, error) {
	var out statusSet
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		first, second, isRange := strings.Cut(part, "-")
		if !isRange {
			second = first
		}
		from, err := statusCode(first)
		if err != nil {
			return nil, err
		}
		to, err := statusCode(second)
		if err != nil {
			return nil, err
		}
		if from > to {
			return nil, fmt.Errorf("status range %q is upside down; write %d-%d", part, to, from)
		}
		out = append(out, statusRange{from, to})
	}
	return out, nil
}

func statusCode(text string) (int, error) {
	text = strings.TrimSpace(text)
	if lower := strings.ToLower(text); len(text) == 3 && strings.HasSuffix(lower, "xx") && text[0] >= '1' && text[0] <= '5' {
		return 0, fmt.Errorf("%q is no status code; write %c00-%c99", text, text[0], text[0])
	}
	code, err := strconv.Atoi(text)
	if err != nil || code < 100 || code > 599 || len(text) != 3 {
		return 0, fmt.Errorf(`%q is no status code; write codes and ranges such as "200-299,304"`, text)
	}
	return code, nil
}

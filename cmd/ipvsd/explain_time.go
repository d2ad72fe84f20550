package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// clock is a time of the day, with the date where that is another one.
func (s *explainer) clock(t time.Time) string {
	t = t.In(s.now.Location())
	if t.Format(time.DateOnly) != s.now.Format(time.DateOnly) {
		return t.Format(time.DateTime)
	}
	return t.Format(time.TimeOnly)
}

// exact is the clock with milliseconds, for what follows at once.
func (s *explainer) exact(t time.Time) string {
	return s.clock(t) + t.Format(".000")
}

// when is a time as the clock has it and as it is from now.
func (s *explainer) when(t time.Time) string {
	d := s.now.Sub(t)
	switch {
	case d <= -time.Second:
		return fmt.Sprintf("%s (in %s)", s.clock(t), span(-d))
	case d < time.Second:
		return s.clock(t) + " (just now)"
	}
	return fmt.Sprintf("%s (%s ago)", s.clock(t), span(d))
}

// span is a duration of which only the order counts.
func span(d time.Duration) string {
	switch {
	case d < 100*time.Second:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 100*time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// brief is a short duration with two digits or more.
func brief(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond)/time.Millisecond)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// millis is a duration of which the milliseconds count.
func millis(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return brief(d)
}

// open is a text as a part of a sentence: without its full stop.
func open(text string) string {
	return strings.TrimRightFunc(text, func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
}

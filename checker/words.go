package checker

import "strings"

// nearest returns the check type that a misspelt word is nearest to, or "".
func nearest(word string) string {
	word = strings.ToLower(word)
	best, bestAt := "", 3 // more than two slips are another word
	for _, k := range kinds {
		if d := distance(word, string(k.typ)); d < bestAt && d < len(k.typ) {
			best, bestAt = string(k.typ), d
		}
	}
	return best
}

// distance counts the letters to insert, drop or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// isToken tells whether s is a token of RFC 9110, which methods and header
// names are.
func isToken(s string) bool {
	const special = "!#$%&'*+-.^_`|~"
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(special, r)) {
			return false
		}
	}
	return s != ""
}

// hostLike tells whether s may stand in a Host header.
func hostLike(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:[]", r)) {
			return false
		}
	}
	return s != "" && !strings.Contains(s, "://")
}

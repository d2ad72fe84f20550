package checker

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// dump is bytes for a transcript, the first of them.
func dump(b []byte) string {
	const most = 48
	if len(b) <= most {
		return fmt.Sprintf("%d bytes: % x", len(b), b)
	}
	return fmt.Sprintf("%d bytes: % x …", len(b), b[:most])
}

// readable is text as it is and anything else as a dump.
func readable(b []byte) string {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return dump(b)
		}
	}
	return string(b)
}

// unhex reads the bytes of "hex:0a 1b"; ok is false for text.
func unhex(text string) (b []byte, ok bool, _ error) {
	digits, ok := strings.CutPrefix(text, "hex:")
	if !ok {
		return nil, false, nil
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
	if err != nil || len(b) == 0 {
		return nil, true, fmt.Errorf(`%q is no hex; write two digits for each byte, such as "hex:0d 0a"`, text)
	}
	return b, true, nil
}

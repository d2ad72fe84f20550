package checker

import (
	"encoding/binary"
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// The messages of grpc.health.v1, and the frame that gRPC puts around them: a
// byte that says whether it is compressed, and four of length.

const grpcFrame = 5

// grpcQuestion is a HealthCheckRequest in its frame: field 1, the service.
func grpcQuestion(service string) []byte {
	var message []byte
	if service != "" {
		message = append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(service))), service...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// grpcStatus is HealthCheckResponse.ServingStatus.
type grpcStatus uint64

const grpcServing grpcStatus = 1

func (s grpcStatus) String() string {
	words := []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}
	if s < grpcStatus(len(words)) {
		return words[s]
	}
	return "serving status " + strconv.FormatUint(uint64(s), 10)
}

var errNotGRPC = errors.New("not an answer of grpc.health.v1")

// parseGRPC reads a HealthCheckResponse in its frame. A status that isn't there
// is 0, UNKNOWN.
func parseGRPC(b []byte) (grpcStatus, error) {
	if len(b) < grpcFrame || b[0] != 0 || uint64(binary.BigEndian.Uint32(b[1:])) != uint64(len(b)-grpcFrame) {
		return 0, errNotGRPC
	}
	b = b[grpcFrame:]
	var status grpcStatus
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 {
			return 0, errNotGRPC
		}
		b = b[n:]
		value, size := protoField(tag&7, b)
		if size < 0 {
			return 0, errNotGRPC
		}
		if tag>>3 == 1 {
			if tag&7 != 0 {
				return 0, errNotGRPC
			}
			status = grpcStatus(value)
		}
		b = b[size:]
	}
	return status, nil
}

// protoField measures a field's value, and reads it where it is a number. The
// size is -1 where there is no such field.
func protoField(wire uint64, b []byte) (value uint64, size int) {
	switch wire {
	case 0:
		if v, n := binary.Uvarint(b); n > 0 {
			return v, n
		}
	case 1:
		if len(b) >= 8 {
			return 0, 8
		}
	case 2:
		if v, n := binary.Uvarint(b); n > 0 && v <= uint64(len(b)-n) {
			return 0, n + int(v)
		}
	case 5:
		if len(b) >= 4 {
			return 0, 4
		}
	}
	return 0, -1
}

// grpcWords are the codes that a call may end with.
var grpcWords = map[string]string{
	"1": "CANCELLED", "2": "UNKNOWN", "3": "INVALID_ARGUMENT", "4": "DEADLINE_EXCEEDED", "5": "NOT_FOUND",
	"6": "ALREADY_EXISTS", "7": "PERMISSION_DENIED", "8": "RESOURCE_EXHAUSTED", "9": "FAILED_PRECONDITION",
	"10": "ABORTED", "11": "OUT_OF_RANGE", "12": "UNIMPLEMENTED", "13": "INTERNAL", "14": "UNAVAILABLE",
	"15": "DATA_LOSS", "16": "UNAUTHENTICATED",
}

// grpcReason puts a call that didn't succeed into words.
func grpcReason(code, message, service string) string {
	word := grpcWords[code]
	switch {
	case code == "":
		return "the answer has no gRPC status"
	case code == "5":
		return "NOT_FOUND: the server knows no service " + quote(service)
	case code == "12":
		return "UNIMPLEMENTED: the server has no grpc.health.v1"
	case word == "":
		word = "gRPC status " + sample([]byte(code), "")
	}
	if text, err := url.PathUnescape(message); err == nil {
		message = text
	}
	if message = strings.TrimSpace(message); message != "" {
		word += ": " + sample([]byte(message), "")
	}
	return word
}

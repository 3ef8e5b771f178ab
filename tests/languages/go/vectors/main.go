// The verdict on each vector by a program that knows the files of the contract and JSON Schema alone.
// vectors CONTRACT_DIRECTORY: a line of JSON for each vector of CONTRACT_DIRECTORY/vectors.jsonl.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const longestValue = 512 * 1024

var uuid = regexp.MustCompile(`^(?i:[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`)

// Content is bytes, or nil: in a vector a text, an object with base64, or null.
type Content []byte

func (content *Content) UnmarshalJSON(written []byte) error {
	var text *string
	if json.Unmarshal(written, &text) == nil {
		if text != nil {
			*content = append(Content{}, *text...)
		}
		return nil
	}
	var encoded struct{ Base64 []byte }
	err := json.Unmarshal(written, &encoded)
	*content = encoded.Base64
	return err
}

type header struct {
	name    string
	content Content
}

func (h *header) UnmarshalJSON(written []byte) error {
	return json.Unmarshal(written, &[]any{&h.name, &h.content})
}

type vector struct {
	Name          string
	Topic         string
	Key, Value    Content
	Headers       []header
	MaxValueBytes int `json:"max_value_bytes"`
}

type verdict struct {
	Name     string `json:"name"`
	Accepted bool   `json:"accepted"`
	Writer   bool   `json:"writer"`
	Reader   bool   `json:"reader"`
}

type schemas map[string]*jsonschema.Schema

func schemasIn(directory string) schemas {
	found, compiler := schemas{}, jsonschema.NewCompiler()
	files, err := filepath.Glob(filepath.Join(directory, "*.json"))
	must(err)
	for _, file := range files {
		schema, err := compiler.Compile(file)
		must(err)
		found[schema.Title] = schema
	}
	return found
}

// unframed is the value without a schema registry's frame: a magic byte, and an id of 4 or of 16 bytes.
func unframed(value []byte) []byte {
	if len(value) >= 5 && value[0] == 0 {
		return value[5:]
	}
	if len(value) >= 17 && value[0] == 1 {
		return value[17:]
	}
	return value
}

// eventIn is the event that a record holds.
func eventIn(value []byte, headers []header) (any, error) {
	value = unframed(value)
	if !utf8.Valid(value) {
		return nil, errors.New("not UTF-8")
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return nil, err
	}
	attributes, contentType := map[string][]byte{}, ""
	for _, header := range headers {
		name := strings.ToLower(header.name)
		if attribute, found := strings.CutPrefix(name, "ce_"); found && header.content != nil {
			attributes[attribute] = header.content
		} else if name == "content-type" {
			contentType = strings.ToLower(string(header.content))
		}
	}
	structured := strings.HasPrefix(contentType, "application/cloudevents") ||
		contentType == "" && bytes.Contains(value, []byte(`"specversion"`))
	if structured || len(attributes) == 0 {
		return document, nil
	}
	event := map[string]any{"data": document}
	for name, content := range attributes {
		if !utf8.Valid(content) {
			return nil, errors.New("not UTF-8: " + name)
		}
		event[name] = string(content)
	}
	return event, nil
}

func (found schemas) takes(event any) bool {
	attributes, _ := event.(map[string]any)
	eventType, _ := attributes["type"].(string)
	schema := found[eventType]
	return schema != nil && schema.Validate(event) == nil
}

func judged(given vector, writer, reader schemas) verdict {
	if given.Value == nil {
		accepted := given.Topic != "model_usage" && uuid.Match(given.Key)
		for _, header := range given.Headers {
			accepted = accepted && !strings.HasPrefix(header.name, "ce_")
		}
		return verdict{Name: given.Name, Accepted: accepted}
	}
	limit := longestValue
	if given.MaxValueBytes > 0 {
		limit = given.MaxValueBytes
	}
	said := verdict{Name: given.Name}
	if event, err := eventIn(given.Value, given.Headers); err == nil {
		said.Writer, said.Reader = writer.takes(event), reader.takes(event)
	}
	said.Accepted = said.Reader && len(given.Value) <= limit
	return said
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	directory := os.Args[1]
	writer, reader := schemasIn(filepath.Join(directory, "writer")), schemasIn(filepath.Join(directory, "reader"))
	file, err := os.Open(filepath.Join(directory, "vectors.jsonl"))
	must(err)
	out := json.NewEncoder(os.Stdout)
	for in := json.NewDecoder(file); in.More(); {
		var given vector
		must(in.Decode(&given))
		must(out.Encode(judged(given, writer, reader)))
	}
}

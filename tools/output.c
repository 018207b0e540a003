// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Rows, as a table for people or as JSON for programs.
 */
#include "config.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "xlrbd.h"

/* For words that say how something is; others have none. */
static const char *colour_of(const char *key, const char *word)
{
	static const struct {
		const char *key, *word, *colour;
	} colours[] = {
		{ "result", "ok", "green" },
		{ "result", "trouble", "red" },
		{ "result", "moved", "green" },
		{ "result", "not moved", "red" },
		{ "status", "silent", "red" },
		{ "status", "fenced", "yellow" },
		{ "life", "silent", "red" },
		{ "state", "fenced", "yellow" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(colours); i++)
		if (!strcmp(colours[i].key, key) &&
		    !strcmp(colours[i].word, word))
			return colours[i].colour;
	return NULL;
}

/* Does whoever reads this want colours?  As no-color.org has it. */
static bool has_colours(void)
{
	const char *refused = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(refused && *refused) && term &&
	       strcmp(term, "dumb") != 0;
}

/* What a cell shows; freed by the caller. */
static char *cell_text(const json_t *row, const char *key)
{
	const json_t *value = json_object_get(row, key);
	char *text = NULL;

	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (json_is_array(value) && asprintf(&text, "%zu",
					     json_array_size(value)) < 0)
		return NULL;
	if (json_is_integer(value) &&
	    asprintf(&text, "%" JSON_INTEGER_FORMAT,
		     json_integer_value(value)) < 0)
		return NULL;
	return text ? text : strdup("-");
}

static int add_line(struct libscols_table *table, const json_t *row,
		    const struct column *columns, size_t n)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	size_t i;
	char *text;

	for (i = 0; line && i < n; i++) {
		text = cell_text(row, columns[i].key);
		if (!text || scols_line_refer_data(line, i, text) < 0)
			return -ENOMEM;
		if (scols_cell_set_color(scols_line_get_cell(line, i),
					 colour_of(columns[i].key, text)) < 0)
			return -ENOMEM;
	}
	return line ? 0 : -ENOMEM;
}

/* Rows with trouble have nothing else to show; they come after the table. */
static int print_trouble(const json_t *rows)
{
	const json_t *row;
	const char *text;
	size_t i;
	int rc = DONE;

	json_array_foreach(rows, i, row) {
		text = json_string_value(json_object_get(row, "trouble"));
		if (text)
			rc = fail("%s", text);
	}
	return rc;
}

static int print_table(const json_t *rows, const struct column *columns,
		       size_t n)
{
	struct libscols_table *table = scols_new_table();
	const json_t *row;
	size_t i;
	int r = table ? scols_table_enable_colors(table, has_colours()) :
			-ENOMEM;

	for (i = 0; !r && i < n; i++)
		if (!scols_table_new_column(table, columns[i].title, 0, 0))
			r = -ENOMEM;
	json_array_foreach(rows, i, row)
		if (!r && !json_object_get(row, "trouble"))
			r = add_line(table, row, columns, n);
	if (!r)
		r = scols_print_table(table);
	scols_unref_table(table);
	return r < 0 ? fail("print: %s", strerror(-r)) : print_trouble(rows);
}

int print_rows(const struct session *s, json_t *rows,
	       const struct column *columns, size_t n)
{
	int rc;

	if (!rows)
		return fail("out of memory");
	if (s->json) {
		json_dumpf(rows, stdout, JSON_INDENT(2));
		putchar('\n');
		rc = print_trouble(rows);
	} else {
		rc = print_table(rows, columns, n);
	}
	json_decref(rows);
	return rc;
}

int print_row(const struct session *s, json_t *row)
{
	json_t *rows = json_array();

	if (json_array_append_new(rows, row) < 0)
		return fail("out of memory");
	return print_rows(s, rows, NULL, 0);
}

int finish_output(void)
{
	if (fflush(stdout) || ferror(stdout))
		return fail("write to stdout: %s", strerror(errno));
	return DONE;
}

const char *text_of(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : "";
}

int64_t number_of(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

void set_text(json_t *row, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(row, key, json_string(value));
}

json_t *time_value(int64_t when)
{
	time_t t = when;
	struct tm tm;
	char text[32];

	if (!localtime_r(&t, &tm) ||
	    !strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm))
		return json_null();
	return json_string(text);
}

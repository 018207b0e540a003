// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who runs where: the entries in the locks of images, put together by domain
 * and host.  There is no other record, so nothing can contradict it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xlrbd.h"

json_t *holder_row(const struct xlrbd_holder *holder)
{
	json_t *row = json_object();

	set_text(row, "image", holder->image);
	set_text(row, "trouble", holder->trouble);
	if (holder->trouble)
		return row;
	set_text(row, "snapshot", holder->snap);
	set_text(row, "mode", xlrbd_mode_name(holder->mode));
	set_text(row, "state", xlrbd_state_name(holder->state));
	set_text(row, "life", xlrbd_life_name(holder->life));
	set_text(row, "domain", holder->domain);
	set_text(row, "uuid", holder->uuid);
	json_object_set_new(row, "domid", json_integer(holder->domid));
	json_object_set_new(row, "device", json_integer(holder->devid));
	set_text(row, "host", holder->host);
	set_text(row, "address", holder->address);
	json_object_set_new(row, "since", time_value(holder->since));
	set_text(row, "entry", holder->entry);
	return row;
}

/*
 * What one entry says of its domain.  A domain is as well as the worst of its
 * disks, and the words come in that order.
 */
static const char *status_of(const struct xlrbd_holder *holder)
{
	if (holder->state == XLRBD_FENCED)
		return "fenced";
	if (holder->state == XLRBD_PENDING)
		return "starting";
	if (holder->life == XLRBD_LIFE_SILENT)
		return "silent";
	return holder->life == XLRBD_LIFE_ALIVE ? "running" : "held";
}

static int rank(const char *status)
{
	static const char *const ranks[] = {
		"fenced", "silent", "starting", "running", "held",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranks); i++)
		if (!strcmp(status, ranks[i]))
			return i;
	return i;
}

/* When it came by migration; not for the eyes of others. */
#define CAME "came"

/* What collecting takes. */
struct collection {
	const char *name;	/* of the only domain wanted, or NULL */
	json_t *rows;
};

/*
 * The row of the holder's domain on its host; a new one if there is none.
 * Tombstones are apart: they are those of an earlier life.
 */
static json_t *row_of(json_t *rows, const struct xlrbd_holder *holder)
{
	bool fenced = holder->state == XLRBD_FENCED;
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (!strcmp(text_of(row, "uuid"), holder->uuid) &&
		    !strcmp(text_of(row, "domain"), holder->domain) &&
		    !strcmp(text_of(row, "host"), holder->host) &&
		    !strcmp(text_of(row, "status"), "fenced") == fenced)
			return row;
	row = json_object();
	set_text(row, "domain", holder->domain);
	set_text(row, "uuid", holder->uuid);
	set_text(row, "host", holder->host);
	json_object_set_new(row, "domid", json_integer(holder->domid));
	set_text(row, "status", status_of(holder));
	json_object_set_new(row, "since", time_value(holder->since));
	json_object_set_new(row, "disks", json_array());
	if (holder->incoming)
		json_object_set_new(row, CAME, json_integer(holder->since));
	json_array_append_new(rows, row);
	return row;
}

static int collect(void *data, const struct xlrbd_holder *holder)
{
	struct collection *collection = data;
	json_t *row;

	if (holder->trouble) {
		json_array_append_new(collection->rows, holder_row(holder));
		return 0;
	}
	if (collection->name && strcmp(collection->name, holder->domain) != 0)
		return 0;
	row = row_of(collection->rows, holder);
	if (rank(status_of(holder)) < rank(text_of(row, "status")))
		set_text(row, "status", status_of(holder));
	json_array_append_new(json_object_get(row, "disks"),
			      holder_row(holder));
	return 0;
}

static bool is_alive(const json_t *row)
{
	return !strcmp(text_of(row, "status"), "running") ||
	       !strcmp(text_of(row, "status"), "held");
}

/* Does the same domain live elsewhere, since before this one came? */
static bool has_elder(const json_t *rows, const json_t *row)
{
	const json_t *other, *came = json_object_get(row, CAME), *earlier;
	size_t i;

	json_array_foreach(rows, i, other) {
		earlier = json_object_get(other, CAME);
		if (other != row && is_alive(other) &&
		    !strcmp(text_of(other, "uuid"), text_of(row, "uuid")) &&
		    (!earlier || json_integer_value(earlier) <
				 json_integer_value(came)))
			return true;
	}
	return false;
}

/* Two hosts hold a domain's disks while it moves: the later one waits for it. */
static void tell_arriving(json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (json_object_get(row, CAME) && is_alive(row) &&
		    has_elder(rows, row))
			set_text(row, "status", "arriving");
	json_array_foreach(rows, i, row)
		json_object_del(row, CAME);
}

static int by_name(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	int r = strcmp(text_of(*x, "domain"), text_of(*y, "domain"));

	return r ? r : strcmp(text_of(*x, "host"), text_of(*y, "host"));
}

static json_t *sorted(json_t *rows)
{
	size_t i, n = json_array_size(rows);
	json_t **v = calloc(n + 1, sizeof(*v));
	json_t *result = v ? json_array() : NULL;

	for (i = 0; result && i < n; i++)
		v[i] = json_array_get(rows, i);
	if (result)
		qsort(v, n, sizeof(*v), by_name);
	for (i = 0; result && i < n; i++)
		json_array_append(result, v[i]);
	free(v);
	json_decref(rows);
	return result;
}

bool has_domain(const json_t *rows)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (json_object_get(row, "domain"))
			return true;
	return false;
}

bool is_this_host(const char *host)
{
	char name[65] = "";

	gethostname(name, sizeof(name) - 1);
	return !strcmp(host, name);
}

int find_domains(struct session *s, const char *name, json_t **rows_out)
{
	struct collection collection = { name, json_array() };
	/* Every pool: a domain's disks may be in several. */
	struct xlrbd_spec everywhere = s->where;

	everywhere.pool = everywhere.ns = NULL;
	if (xlrbd_holders(s->ctx, &everywhere, collect, &collection) < 0) {
		json_decref(collection.rows);
		return fail_ctx(s);
	}
	tell_arriving(collection.rows);
	*rows_out = sorted(collection.rows);
	return *rows_out ? DONE : fail("out of memory");
}

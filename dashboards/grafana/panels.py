"""Words for Grafana's JSON: panels, variables, and a layout that fills rows from the left."""

PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
POSTGRES = {"type": "grafana-postgresql-datasource", "uid": "${postgres}"}
WIDTH = 24
# Evidence as a share of its threshold: 1 is an alarm.
EVIDENCE = [(None, "green"), (0.1, "yellow"), (1, "red")]


def promql(*queries):
    """Queries of Prometheus, each with its legend."""
    return PROMETHEUS, [
        {"refId": chr(65 + n), "datasource": PROMETHEUS, "expr": expression, "legendFormat": legend}
        for n, (expression, legend) in enumerate(queries)
    ]


def instant(expression):
    """One value, or one row a series, at the end of the range."""
    datasource, (target,) = promql((expression, "__auto"))
    return datasource, [target | {"instant": True, "range": False, "format": "table"}]


def sql(text, over_time=False):
    """A query of Postgres: a table, or series named by a column `metric`."""
    return POSTGRES, [
        {
            "refId": "A",
            "datasource": POSTGRES,
            "format": "time_series" if over_time else "table",
            "rawQuery": True,
            "editorMode": "code",
            "rawSql": " ".join(text.split()),
        }
    ]


def panel(kind, title, description, query, unit="none", width=8, height=8, thresholds=None, overrides=(), **more):
    """A panel; `options` and `custom` are Grafana's own."""
    datasource, targets = query
    steps = [{"value": value, "color": colour} for value, colour in thresholds or [(None, "text")]]
    defaults = {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}, "custom": more.get("custom", {})}
    defaults["color"] = {"mode": "thresholds" if thresholds and kind != "timeseries" else "palette-classic"}
    for key in ("min", "max", "noValue"):
        if key in more:
            defaults[key] = more[key]
    return {
        "type": kind,
        "title": title,
        "description": " ".join(description.split()),
        "datasource": datasource,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": [override(*each) for each in overrides]},
        "options": more.get("options", {}),
        "transformations": more.get("transformations", []),
        "size": (width, height),
    }


def override(column, *properties):
    """What a column of a table, or a series, has of its own."""
    return {
        "matcher": {"id": "byName", "options": column},
        "properties": [{"id": key, "value": value} for key, value in properties],
    }


def link(column, title, to):
    """Leads from a cell to another dashboard, with the time range."""
    url = f"/d/{to}&${{__url_time_range}}"
    return (column, ("links", [{"title": title, "url": url}]))


def coloured(column, thresholds, unit="none"):
    """A table's column whose background says how bad it is."""
    steps = [{"value": value, "color": colour} for value, colour in thresholds]
    return (
        column,
        ("unit", unit),
        ("thresholds", {"mode": "absolute", "steps": steps}),
        ("color", {"mode": "thresholds"}),
        ("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
    )


def stat(title, description, query, unit="none", width=4, thresholds=None, **more):
    """One number."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": more.pop("fields", ""), "values": more.pop("values", False)},
        "colorMode": "background" if thresholds else "value",
        "graphMode": "none",
        "textMode": "value",
    }
    return panel("stat", title, description, query, unit, width, 4, thresholds, options=options, **more)


def lines(title, description, query, unit, width=8, limit=None, logarithmic=False, stacked=False, **more):
    """Values over time, with a line for a limit."""
    custom = {"lineWidth": 1, "fillOpacity": 20 if stacked else 5, "spanNulls": False, "showPoints": "auto"}
    if logarithmic:
        custom["scaleDistribution"] = {"type": "log", "log": 10}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    thresholds = None
    if limit is not None:
        custom["thresholdsStyle"] = {"mode": "dashed"}
        thresholds = [(None, "transparent"), (limit, "red")]
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, description, query, unit, width, 8, thresholds, custom=custom, options=options, **more)


def bands(title, description, query, width=24, height=10):
    """Evidence over time, one band a row, coloured by how near it is to its threshold."""
    options = {"mergeValues": True, "showValue": "never", "rowHeight": 0.9, "legend": {"showLegend": False}}
    custom = {"lineWidth": 0, "fillOpacity": 80}
    return panel("state-timeline", title, description, query, "none", width, height, EVIDENCE, custom=custom, options=options)


def table(title, description, query, width=24, height=8, overrides=(), **more):
    """Rows."""
    options = {"showHeader": True, "cellHeight": "sm"}
    more.setdefault("noValue", "none")
    return panel("table", title, description, query, "none", width, height, None, overrides, options=options, **more)


def source(name, label, kind):
    """Lets the reader choose a data source."""
    return {"type": "datasource", "name": name, "label": label, "query": kind, "hide": 0, "current": {}}


def choice(name, label, query, many=False):
    """A variable by a query; of Postgres if it is SQL, of Prometheus otherwise."""
    datasource = POSTGRES if query.startswith("select") else PROMETHEUS
    variable = {"type": "query", "name": name, "label": label, "datasource": datasource, "query": query, "definition": query}
    variable |= {"refresh": 2, "sort": 0, "multi": many, "includeAll": many, "current": {}}
    return variable | ({"allValue": ".*"} if many else {})


def alerts_as_annotations(condition):
    """Spans in which driftd had an alert open."""
    query = f"""select opened_at as time, coalesce(resolved_at, now()) as timeend, summary as text, cause as tags
        from driftd_v1.alert where {condition} and opened_at <= $__timeTo()
        and coalesce(resolved_at, now()) >= $__timeFrom() and state in ('firing', 'resolved')"""
    _, (target,) = sql(query)
    return {"name": "Alerts", "datasource": POSTGRES, "enable": True, "iconColor": "red", "target": target}


def dashboard(uid, title, description, variables, panels, annotations=(), hours=24):
    """A dashboard; a text among the panels begins a new row with that title."""
    placed, x, y, height, number = [], 0, 0, 0, 1
    for each in panels:
        if isinstance(each, str):
            y, x, height = y + height, 0, 0
            placed.append({"id": number, "type": "row", "title": each, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
            y += 1
        else:
            width, own = each.pop("size")
            if x + width > WIDTH:
                y, x, height = y + height, 0, 0
            placed.append({"id": number} | each | {"gridPos": {"x": x, "y": y, "w": width, "h": own}})
            x, height = x + width, max(height, own)
        number += 1
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["driftd"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": f"now-{hours}h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["driftd"], "title": "driftd", "asDropdown": True, "keepTime": True, "includeVars": True}],
        "templating": {"list": variables},
        "annotations": {"list": list(annotations)},
        "panels": placed,
    }

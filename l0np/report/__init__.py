"""The report of an answer for people who do not compute: one HTML file that needs nothing else.

`words` says in sentences what was found, `rows` makes the table of targets, `pictures` the SVG and its alt
texts, `repetition` the lines that repeat the run, and `page` puts them into the template (jinja2, extra
`report`). The file holds its style, its script and its data, and loads nothing from anywhere. Whatever users
named is escaped.
"""

from l0np.report.answer import ReportedAnswer
from l0np.report.page import check_report, write_report

__all__ = ["ReportedAnswer", "check_report", "write_report"]

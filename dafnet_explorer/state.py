"""Keys of st.session_state shared by several modules. Widget keys are also query parameters of links."""

# selected in the sidebar, and bound to the URL
CHECKPOINT = "checkpoint"
SUBJECT = "subject"
SLICE = "slice"
DIFFICULTY = "difficulty"
# shared by the pages that evaluate a checkpoint, and bound to the URL
POPULATION = "population"
# in the URL only
SOURCE = "source"  # name of the data set of the subject, if it is not built-in; also the key of the choice
DIGEST = "digest"  # first 8 hex digits of the checkpoint's digest
LECTURE = "lecture"  # whether type is large; also the key of the choice
# kept for the session
SELECTED = "chosen"  # makes the choice of checkpoint and subject, passed by app.py to the page
STEPS = "steps-of-bar"  # what the bar above the page steps through: key and choices of each picker, by label
LINKED = "linked"  # name and digest of a link's checkpoint if it differs from the file of this name; else None
DATA_SET = "data-set-of-subject"  # spec of the data set of the subject; "" for samples and files of the user
PLACE = "place"  # query parameters of a link that select the subject; {} for what no link can open
LINK_PROBLEM = "link-problem"  # what a link asks for that is not here, or "", and what is shown instead
WAITING = "waiting"  # whether a sample is shown until files are uploaded
OWN_CHECKPOINTS = "own-checkpoints"  # uploaded checkpoints by name
PRIVATE = "private"  # whether the user has uploaded files: results are then cached per session
UPLOADED = " (uploaded)"  # ends their names
PREDICTED = "predicted-study"  # what identifies a prediction of the uploaded study, and its ZIP
UPLOADS = "uploads"  # the user's files, list[uploads.Upload]
NUMBER = "uploads-so-far"  # how many there were
DROPS = "drops"  # how often the place to drop files was emptied
TAKEN = "taken"  # ids of files that were taken from it
SAID = "uploads-said"  # what the last files replaced, or why they were left out
PAGE = "page"  # title of the page
AREA_OPEN = "your-data-open"  # whether this run of the script shows it open
AREA = "your-data"  # whether the area for the user's files is open, also the key of the area
REMEMBERED = "remembered"  # names of files that the browser remembers from before the page was reloaded
LINK = "link"  # query parameters with which the session began

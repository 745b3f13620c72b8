"""`chipmap train`: pictures and scribbles from files -> a saved classifier; and what `chipmap run` makes of it."""

from cukernels.backend import choose_device

from chipmap import InputError, materials
from chipmap.classify import TREES, load, train
from chipmap.prepare import prepare
from chipmap.read import read_picture
from chipmap.scribbles import read_scribbles


def train_files(pictures, scribbles, out, classes=None, kind="planar", levels="picture", trees=TREES, seed=0, stack=None, device="auto", say=print):
    """Train on files and save.

    pictures, scribbles: paths, one scribble file a picture (`scribbles.read_scribbles`), over the whole stored picture;
    what lies on a databar is left out. out: path of the .npz. classes: names in order, or those of the first scribble
    file. kind, levels, trees, seed: as of `classify.train`; stack: too, with commas. device: "auto", "cpu" or "cuda". Returns the `Classifier`.
    """
    if len(pictures) != len(scribbles):
        raise InputError(f"{len(pictures)} pictures and {len(scribbles)} scribble files: give --scribbles once for each picture, in their order")
    device = choose_device(device)
    images, drawn = [], []
    for path, strokes in zip(pictures, scribbles):
        picture = read_picture(path, 1e-9)  # features count in pixels, whatever their size
        found = read_scribbles(strokes, picture.image.shape, classes)
        classes = classes or found.names
        prepared = prepare(picture, device=device)
        top, bottom, left, right = prepared.crop
        images.append(prepared.image)
        drawn.append(found.labels[top:bottom, left:right])
    classifier = train(images, drawn, classes, kind, levels, sources=pictures, trees=trees, seed=seed, stack=split(stack))
    classifier.save(out)
    card = classifier.card
    say(f"classes: {', '.join(card['classes'])}; {card['trees']} trees, {card['nodes']} nodes")
    say(f"outside the bag: {100 * card['out_of_bag_error']:.2f} % of {card['out_of_bag_samples']} scribbled pixels wrong, "
        f"calibration error {card['calibration_error']:.3f}, Brier score {card['brier_score']:.3f}")
    if card["stack"]:
        say(f"stack: {', '.join(card['classes'][k] for k in card['stack']['order'])}; inner layers about "
            f"{', '.join(f'{t:.0f}' for t in card['stack']['thickness']) or 'no'} pixels thick")
    say(f"model: {out}")
    return classifier


def phases_by_model(path, image, legend=None, phases=None, stack=None):
    """(`segment.Phases` of a picture by the classifier saved at `path`, legend for `identify`).

    The legend given stands; without one, classes that bear names of materials are their own legend. phases: a number the
    user asked for, which a model does not take. stack: names of all classes from top to bottom, with commas, where they lie
    one above the other.
    """
    legend_of((), legend, phases)
    found, names = load(path).phases(image, split(stack))
    return found, legend_of(names, legend, phases)


def legend_of(classes, legend=None, phases=None):
    """The legend given, or classes in the order of their phases where all bear names of materials, or None."""
    if phases:
        raise InputError(f"--phases {phases} and --model: the model says how many there are, leave one of them out")
    return legend or (dict(enumerate(classes)) if all(map(is_material, classes)) else None)


def is_material(name):
    """Whether the library has a material of this name."""
    try:
        return bool(materials.find(name))
    except InputError:
        return False


def split(names):
    """Names with commas between them as a list, or None."""
    return [name.strip() for name in names.split(",")] if names else None

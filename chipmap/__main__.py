"""The command line: `chipmap run IMAGE -o OUT`. Heavy libraries load when a run starts, not for --help."""

import contextlib

import click

from chipmap import InputError, __version__


class Refusal(click.ClickException):
    """One sentence on stderr, exit code 2."""

    exit_code = 2


@contextlib.contextmanager
def refusing():
    """What the user can mend ends in a sentence, not in a traceback."""
    from cukernels.backend import DeviceError

    try:
        yield
    except (InputError, DeviceError, FileExistsError) as error:
        raise Refusal(" ".join(str(error).split())) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main():
    """From a microscope picture of a chip to named materials, objects, layout and finite elements."""


@main.command()
@click.argument("image", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="Folder for the results; made whole or not at all.")
@click.option("--pixel-size", metavar="LENGTH", help="Size of a pixel, as 1.65nm or 2.2x2.4nm (height x width); default: the microscope's tags.")
@click.option("--phases", type=click.IntRange(1, 8), help="How many phases the picture has; default: the evidence decides.")
@click.option("--materials", metavar="NAMES",
              help="Materials that are there, as SiO2,Cu, in any order: their backscatter says which grey is which. As many phases are looked for.")
@click.option("--legend", metavar="PAIRS", help="Which grey is which, as 'bright=Cu dark=SiO2'.")
@click.option("--process", metavar="NAME", help="Process table (a name of chipmap/processes or a TOML file): what the chip can hold.")
@click.option("--crop", metavar="BOX", help="Rows and columns to keep, as 0:700,0:1024.")
@click.option("--correct", metavar="NAMES",
              help="Take off what scanning and milling wrote over the picture, as streaks,curtain,jitter,background,noise; says what each changed.")
@click.option("--simplify", "simplify_px", type=click.FloatRange(0, 100), default=0, show_default=True,
              help="Simplify the polygons' shared borders by about so many pixels; 0 keeps every pixel corner.")
@click.option("--physics", default="heat,current", show_default=True, metavar="NAMES",
              help="What to solve: heat, current, charge, stress, coupled (current, its heat, the stress of that), several with commas, or "
                   "all for these five; also junction, transient (heat of --heater) and stiffness. Heat: 1 K between left and right.")
@click.option("--set", "settings", multiple=True, metavar="NUMBER",
              help="Use this number instead of the library's: Cu.thermal_conductivity=320 (or =low,value,high), or a TOML file. Repeatable.")
@click.option("--thickness", metavar="LENGTH",
              help="Of the layer, into the picture, as 90nm: metals then get the resistivity of lines of their measured width.")
@click.option("--terminals", metavar="NAMES",
              help="Current between these sides or objects (numbers of objects.csv), as left,right or 3,17; the first is at the voltage, the "
                   "others at 0. Default: left and right, else top and bottom.")
@click.option("--voltage", type=float, default=1e-3, show_default=True, help="Of the current, V.")
@click.option("--conductors", metavar="OBJECTS",
              help="Charge: objects whose nets carry it, as 3,17; the first at 1 V. Default: the four largest nets. Other nets float.")
@click.option("--margin", type=click.IntRange(0, 4096), default=0, show_default=True,
              help="Charge: pixels of open surroundings on every side; 0 for a closed box.")
@click.option("--cold", default="left,right,top,bottom", show_default=True, metavar="SIDES",
              help="Coupled, junction, transient: sides held at room temperature; the others let no heat through.")
@click.option("--heater", metavar="OBJECTS", help="Junction, transient: objects that give off heat evenly, as 3,17.")
@click.option("--film", default="", metavar="PAIRS", help="Junction, transient: sides that convect, as top=1e4,bottom=50, W/(m2 K).")
@click.option("--power", type=float, default=1.0, show_default=True, help="Transient: of the heater, W a metre of depth.")
@click.option("--pulse", default="1ns", show_default=True, metavar="TIME", help="Transient: how long the heater is on.")
@click.option("--until", metavar="TIME", help="Transient: where it ends; default: twice the pulse.")
@click.option("--temperature-change", type=float, default=100.0, show_default=True, help="Of the stress, K, the same everywhere.")
@click.option("--fixed", default="left x,bottom y", show_default=True, metavar="SIDES",
              help="Sides that the stress holds, each alone or with the direction held; the others are free.")
@click.option("--plane", type=click.Choice(["strain", "stress"]), default="strain", show_default=True,
              help="Stress of a thick slab (strain) or of a thin foil (stress).")
@click.option("--uniform", is_flag=True,
              help="Heat, current, stiffness: the effective tensor also under a uniform gradient (strain) and a uniform flux (stress) all round "
                   "the picture, between which that in any surroundings lies; two further solves each.")
@click.option("--also", multiple=True, type=click.Choice(["abaqus", "oasis"]),
              help="Further files: abaqus, a deck chip.inp with materials and sets; oasis, layout.oas beside layout.gds. Repeatable.")
@click.option("--liner", metavar="NAME", help="A liner of this material, thinner than a phase, is looked for around every metal and its thickness measured: Ta, or "
              "Ta=160 with its grey level. Default: where a --process says that there must be one.")
@click.option("--layers", metavar="FILE", help="CSV with material,layer,datatype: the layers of layout.gds; other materials keep their own numbers.")
@click.option("--samples", type=click.IntRange(0, 10000), default=0, show_default=True,
              help="Solve heat and current again with so many draws of displaced edges, for their uncertainty, and once more for that of the largest displacement; 0: to first order.")
@click.option("--model", metavar="FILE", help="Phases by a classifier of `chipmap train`; classes named after materials are their own legend.")
@click.option("--signal", type=click.Choice(["SE", "BSE"]), help="What the picture shows where its tags don't say: secondary electrons tell no atomic number.")
@click.option("--stack", metavar="NAMES", help="The model's classes from top to bottom, as coating,SiO2,Si, where they lie one above the other all across; not needed where the "
              "model was trained with --stack.")
@click.option("--xray", metavar="PATH", help="X-ray maps of the same field: a folder of element maps (Cu.tif, AgL.png ...), or a Velox .emd or Ripple .rpl.")
@click.option("--xray-field", metavar="BOX", help="Where the maps lie on the picture, as left,top,right,bottom in pixels; default: where they look alike.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--quiet", is_flag=True, help="Say nothing unless something is wrong.")
def run(image, out, device, quiet, **options):
    """Name the materials of a picture (PNG, TIFF, JPEG), measure its objects, and solve heat, current and stress in it."""
    say = (lambda line: None) if quiet else click.echo
    from cukernels.run import keep_memory

    keep_memory()
    with refusing():
        from chipmap import pipeline
        from chipmap.problems import Boundaries


        boundaries = {name: options.pop(name) for name in vars(Boundaries())}
        pipeline.run(image, out, device=device, say=say, boundaries=boundaries, **options)


@main.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@click.option("--scribbles", multiple=True, required=True, metavar="FILE",
              help="Strokes over each picture, in the order of the pictures: a label PNG or TIFF (0 = nothing, 1, 2 ...) or GeoJSON with a class.")
@click.option("-o", "--out", required=True, type=click.Path(), help="The model, one .npz.")
@click.option("--classes", metavar="NAMES", help="Names of the classes in order, as SiO2,Cu.")
@click.option("--kind", default="planar", show_default=True, type=click.Choice(["planar", "section"]),
              help="Seen from above, or a cross-section, where it counts what lies above and below.")
@click.option("--levels", default="picture", show_default=True, type=click.Choice(["picture", "training"]),
              help="Scale each picture by its own dark and bright level, or all by those of the training pictures.")
@click.option("--stack", metavar="NAMES", help="The classes from top to bottom, as coating,SiO2,Si, where they lie one above the other all across: how their borders "
              "look and how thick they are is learnt too.")
@click.option("--trees", default=64, show_default=True, type=click.IntRange(1, 1000))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
def train(pictures, scribbles, out, classes, **options):
    """Train a classifier on a few scribbles over one picture or several, for `chipmap run --model`."""
    with refusing():
        from chipmap.training import train_files

        train_files(pictures, scribbles, out, classes and classes.split(","), say=click.echo, **options)


@main.command()
@click.argument("image", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="Folder for the results; made whole or not at all.")
@click.option("--pixel-size", metavar="LENGTH", help="Size of a pixel; default: the picture's tags.")
@click.option("--phases", type=click.IntRange(1, 8), help="How many phases the picture has; default: the evidence decides.")
@click.option("--materials", metavar="NAMES", help="Materials that are there, as SiO2,Cu; as many phases are looked for.")
@click.option("--legend", metavar="PAIRS", help="Which grey is which, as 'bright=Cu dark=SiO2'.")
@click.option("--process", metavar="NAME", help="Process table: what the chip can hold.")
@click.option("--crop", metavar="BOX", help="Rows and columns to keep, as 0:20000,0:20000.")
@click.option("--model", metavar="FILE", help="Phases by a classifier of `chipmap train`.")
@click.option("--tile", default=2048, show_default=True, type=click.IntRange(16), help="Rows and columns done at once, a multiple of 16: less memory, more time.")
@click.option("--store", default="tiff", show_default=True, type=click.Choice(["tiff", "zarr"]), help="Images as tiled OME-TIFF or as OME-Zarr.")
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--quiet", is_flag=True, help="Say nothing unless something is wrong.")
def mosaic(image, out, quiet, **options):
    """Materials and objects of a picture too big for memory; stopped, the same command goes on where it was."""
    with refusing():
        from chipmap.big.mosaic import run

        run(image, out, say=(lambda line: None) if quiet else click.echo, **options)


@main.command()
@click.argument("image", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="A tiled TIFF (.ome.tif), or OME-Zarr (.zarr).")
@click.option("--pixel-size", metavar="LENGTH", help="Size of a pixel; default: the picture's tags.")
def pyramid(image, out, pixel_size):
    """Store a big picture in tiles with its halves, quarters ..., so that any part of it is read fast at any size."""
    with refusing():
        from chipmap.big.planes import store_pyramid

        store_pyramid(image, out, pixel_size, say=click.echo)


@main.command()
@click.argument("source")
@click.option("-o", "--out", required=True, type=click.Path(), help="Folder for the picture and its truth.")
@click.option("--scale", default=1.0, show_default=True, type=click.FloatRange(0.01, 16), help="Pixels for one unit of the SVG, or for one nm.")
@click.option("--dose", type=float, help="Electrons a pixel [100].")
@click.option("--kv", type=float, help="Beam energy, 5-40 kV [20].")
@click.option("--blur", "blur_px", type=float, help="Standard deviation of the beam, pixels [1].")
@click.option("--edge", type=float, help="Brightening at edges, share of the yield [0].")
@click.option("--streaks", type=float, help="Charging: brightness change along a scan line, share [0].")
@click.option("--curtain", type=float, help="Curtaining: brightness change of a column, share [0].")
@click.option("--drift", "drift_px", type=float, help="How far the sample creeps during the frame, pixels [0].")
@click.option("--background", type=float, help="Brightness change over the frame, share [0].")
@click.option("--seed", type=click.IntRange(0), help="Of all chance [0].")
def phantom(source, out, **options):
    """Draw SOURCE (an SVG with lime tracks and red vias, or "stack": a cross-section) as a microscope would see it, with its truth."""
    with refusing():
        from chipmap import phantom

        phantom.run(source, out, say=click.echo, **options)


@main.command()
@click.argument("source", type=click.Path())
@click.argument("layout", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="Folder for the results; made whole or not at all.")
@click.option("--drawn", metavar="NAMES", help="What the layout draws: materials of the run, or bright, dark, 0, 1 ... of a picture's phases. "
              "Default: the run's metals; bright.")
@click.option("--layer", metavar="NAMES", help="Layers of the layout to compare with, as Cu or 68/20. Default: those named like the run's materials, or the only one.")
@click.option("--pixel-size", metavar="LENGTH", help="Of a picture, as 1.65nm; default: the microscope's tags.")
@click.option("--phases", type=click.IntRange(2, 8), help="Of a picture [2].")
@click.option("--crop", metavar="BOX", help="Of a picture: rows and columns to keep, as 0:700,0:1024.")
@click.option("--unit", metavar="LENGTH", help="Of the coordinates of an SVG or of a GeoJSON without a unit, as 8nm.")
@click.option("--cell", metavar="NAME", help="Cell of a GDSII or OASIS file, with all it holds; default: the only one on top.")
@click.option("--layers", metavar="FILE", help="CSV with material,layer,datatype: which layer of the layout is which material.")
@click.option("--near", metavar="X,Y", help="Where in the layout the picture's middle lies, um, to within a quarter of the picture; default: searched for.")
@click.option("--turn", type=click.Choice(["0", "90", "180", "270"]), default="0", show_default=True, help="Turn the layout counter-clockwise first, degrees.")
@click.option("--mirror", is_flag=True, help="Exchange left and right of the layout first (a chip seen from its back).")
@click.option("--fit", type=click.Choice(["shift", "similarity", "affine"]), default="similarity", show_default=True,
              help="What is fitted: shift; turn and scale too (to 2 degrees and 3 %); stretch and shear too.")
@click.option("--tolerance", metavar="LENGTH", help="How far an edge may be off, as 12nm [3 pixels].")
@click.option("--quiet", is_flag=True, help="Say nothing unless something is wrong.")
def compare(source, layout, out, turn, quiet, **options):
    """Compare SOURCE (the folder of a run, or a picture) with a LAYOUT (GDSII, OASIS, GeoJSON, SVG): shorts, opens, extra and missing pieces."""
    with refusing():
        from chipmap.comparison import compare

        compare.run(source, layout, out, turn=int(turn), say=(lambda line: None) if quiet else click.echo, **options)


@main.command()
@click.argument("things", nargs=-1, metavar="[RUN or IMAGE...]", type=click.Path())
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; anything else lets the network in.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default: the first free one from 8600 on.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open a browser on the page.")
def serve(things, host, port, browser):
    """Show the page: drop pictures on it, or name pictures, folders of pictures and runs to find there."""
    with refusing():
        from chipmap.page import command

        command.serve(things, host, port, browser, say=click.echo)


@main.command()
@click.argument("run", type=click.Path())
@click.option("-o", "--out", type=click.Path(), help="The HTML file [RUN/report.html].")
def report(run, out):
    """One HTML file of a RUN's folder: the picture with its overlays, tables, method, versions. Opens from disk, prints clean."""
    with refusing():
        from chipmap.page import command

        click.echo(command.report(run, out))


@main.command()
@click.argument("lower", type=click.Path())
@click.argument("upper", type=click.Path())
@click.option("-o", "--out", required=True, type=click.Path(), help="Folder for the results; made whole or not at all.")
@click.option("--vias", metavar="NAME", help="Material of the vias; default: objects of the kind via.")
@click.option("--seen-in", type=click.Choice(["lower", "upper"]), default="lower", show_default=True, help="Which picture shows the vias between the two.")
@click.option("--offset", metavar="X,Y", help="Where the upper picture's lower left corner lies in the lower one, nm; default: by the vias, where both pictures show them.")
@click.option("--quiet", is_flag=True, help="Say nothing unless something is wrong.")
def nets(lower, upper, out, quiet, **options):
    """Join the nets of two runs, LOWER and UPPER (folders of `chipmap run` on two metal layers), through the vias between them."""
    with refusing():
        from chipmap import interlayer

        interlayer.run(lower, upper, out, say=(lambda line: None) if quiet else click.echo, **options)


if __name__ == "__main__":
    main()

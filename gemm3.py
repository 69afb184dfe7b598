import torch,time
def med(f,n=10):
    for _ in range(2): f()
    ts=[]
    for _ in range(n):
        t=time.perf_counter();f();ts.append(time.perf_counter()-t)
    ts.sort();return round(ts[n//2]*1e3,2)
lin=torch.ops.mkldnn._linear_pointwise
for thr in (1,2):
    torch.set_num_threads(thr)
    x=torch.randn(8000,128);w=torch.randn(1024,128);b=torch.randn(1024);g=torch.randn(8000,1024)
    wt=w.T.contiguous(); gt=g.T.contiguous(); xt=x.T.contiguous()
    # gw = g.T @ x : M=1024 K=8000 N=128
    print(thr,"gw mm",med(lambda:g.T@x),"gw contig lin", med(lambda:lin(gt,xt,None,"none",[],"")), "weight strided", med(lambda:lin(gt,x.T,None,"none",[],"")), "other way", med(lambda:lin(xt,gt,None,"none",[],"")), "other strided", med(lambda:lin(xt,g.T,None,"none",[],"")))
    print("transposes", med(lambda:g.T.contiguous()), med(lambda:x.T.contiguous()))
    print("w.T strided weight for gx", med(lambda:lin(g,w.T,None,"none",[],"")))
    k=16; gc=g.view(k,500,1024);xc=x.view(k,500,128)
    print("bmm parts", med(lambda: torch.bmm(gc.mT,xc).sum(0)))
    print("conv", )
    for h in (128,512):
        x2=torch.randn(32000,h//2);w2=torch.randn(4*h,h//2);b2=torch.randn(4*h)
        print("h",h,"addmm",med(lambda:torch.addmm(b2,x2,w2.T),5),"lin",med(lambda:lin(x2,w2,b2,"none",[],""),5))
    s=torch.randn(32,64);ws=torch.randn(128,64)
    print("small mm", med(lambda:torch.mm(s,ws.T),200), "lin", med(lambda:lin(s,ws,None,"none",[],""),200))
